//! Sampling of the next token, on the device that holds its logits.

use burn::backend::Dispatch;
use burn::tensor::{Device, Int, Tensor};

use crate::backend::SampleOps;
use crate::types::Draw;

/// The tokens that were sampled so far, on the device.
#[derive(Clone, Debug)]
pub struct SampledTokens {
    /// `[capacity]`, the tokens first.
    ids: Option<Tensor<1, Int>>,
    len: usize,
}

impl SampledTokens {
    /// An empty list with room for `capacity` tokens.
    #[must_use]
    pub fn new(capacity: usize, device: &Device) -> Self {
        let ids = Some(Tensor::empty([capacity.max(1)], device));
        Self { ids, len: 0 }
    }

    /// Drops all but the first `len` tokens.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Samples a token from its logits and appends it.
    ///
    /// # Shapes
    /// - logits: `[1, vocab_size]`
    /// - output: `[2]`, the token and a flag: 1 where a logit is not finite, so that the token is meaningless
    ///
    /// # Panics
    /// When the list is full, and like every operation in burn when the devices differ.
    pub fn next(&mut self, logits: Tensor<2>, draw: Draw) -> Tensor<1, Int> {
        let ids = self
            .ids
            .take()
            .unwrap_or_else(|| unreachable!("put back below"));
        let [capacity] = ids.dims();
        assert!(
            self.len < capacity,
            "a list of {capacity} sampled tokens is full"
        );
        let (logits, ids) = (logits.into_dispatch(), ids.into_dispatch());
        let (token, ids) = <Dispatch as SampleOps>::sample(logits, ids, self.len, draw);
        self.ids = Some(Tensor::from_dispatch(ids));
        self.len += 1;
        Tensor::from_dispatch(token)
    }
}
