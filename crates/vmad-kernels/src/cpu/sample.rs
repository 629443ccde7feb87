//! Sampling of a token on the CPU backend.

use burn::backend::Flex;
use burn::tensor::{Bytes, DType, Shape};
use burn_flex::{FlexTensor, Layout};

use crate::backend::SampleOps;
use crate::reference;
use crate::types::Draw;

impl SampleOps for Flex {
    fn sample(
        logits: FlexTensor,
        sampled: FlexTensor,
        n: usize,
        draw: Draw,
    ) -> (FlexTensor, FlexTensor) {
        let logits = logits.to_contiguous();
        let logits: &[f32] = logits.storage();
        let mut ids: Vec<i32> = sampled.storage::<i32>().to_vec();
        let token = reference::sample(logits, &ids[..n], &draw) as i32;
        let is_bad = logits.iter().any(|logit| !logit.is_finite());
        ids[n] = token;
        (int_tensor(vec![token, i32::from(is_bad)]), int_tensor(ids))
    }
}

fn int_tensor(values: Vec<i32>) -> FlexTensor {
    let shape = Shape::new([values.len()]);
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape),
        DType::I32,
    )
}
