//! Sampling of a token on cubecl backends.

use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{dispatch, empty, owned, word};
use super::shaders::{SAMPLE, SampleParams};
use crate::backend::SampleOps;
use crate::types::Draw;

impl SampleOps for CubeBackend {
    fn sample(
        logits: CubeTensor,
        sampled: CubeTensor,
        n: usize,
        draw: Draw,
    ) -> (CubeTensor, CubeTensor) {
        let (logits, sampled) = (owned(logits), owned(sampled));
        let params = SampleParams {
            vocab_size: word(logits.meta.shape()[1]),
            n_sampled: word(n),
            top_k: word(draw.top_k),
            temperature: draw.temperature,
            top_p: draw.top_p,
            repetition_penalty: draw.repetition_penalty,
            uniform_draw: draw.uniform,
        };
        let out = empty(&logits, Shape::new([2]), DType::I32);
        dispatch(&SAMPLE, &[&logits, &sampled, &out], &params, 1, 0.0);
        (out, sampled)
    }
}
