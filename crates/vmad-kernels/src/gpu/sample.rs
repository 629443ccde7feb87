//! The choice of a token on cubecl backends.

use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

use super::{SAMPLE, dispatch, owned};
use crate::Draw;
use crate::sample::SampleOps;

impl SampleOps for CubeBackend {
    fn sample(
        logits: CubeTensor,
        said: CubeTensor,
        n: usize,
        draw: Draw,
    ) -> (CubeTensor, CubeTensor) {
        let (logits, said) = (owned(logits), owned(said));
        let vocab_size = logits.meta.shape()[1];
        let info = vec![
            vocab_size as u32,
            n as u32,
            draw.top_k as u32,
            0,
            draw.temperature.to_bits(),
            draw.top_p.to_bits(),
            draw.repetition_penalty.to_bits(),
            draw.uniform.to_bits(),
        ];
        let (client, device) = (logits.client.clone(), logits.device.clone());
        let out = empty_device_contiguous_dtype(client, device, Shape::new([2]), DType::I32);
        dispatch(&SAMPLE, &[&logits, &said, &out], (info, 3), 1, 0.0);
        (out, said)
    }
}
