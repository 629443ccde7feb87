//! The next token of an answer, chosen where its scores lie.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Dispatch, Flex, backend_extension};
use burn::tensor::{Bytes, DType, Device, Int, Shape, Tensor};
use burn_flex::{FlexTensor, Layout};

use crate::reference;

/// How one token is chosen: repetition penalty, temperature, top-k, top-p, in this order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// 0 takes the likeliest token, the first of equals.
    pub temperature: f32,
    /// Draw from this many likeliest tokens; 0 takes all.
    pub top_k: usize,
    /// Draw from the likeliest tokens whose probabilities add up to this; 1 takes all.
    pub top_p: f32,
    /// Above 1 makes tokens of the answer so far less likely (Keskar et al. 2019); 1 is off.
    pub repetition_penalty: f32,
    /// A number drawn from [0, 1): the share of probability that tokens before the chosen one hold.
    pub uniform: f32,
}

impl Draw {
    /// The likeliest token.
    pub const GREEDY: Self = Self {
        temperature: 0.0,
        top_k: 0,
        top_p: 1.0,
        repetition_penalty: 1.0,
        uniform: 0.0,
    };
}

/// The operation as backends implement it, on the answer's first `n` tokens.
#[backend_extension(Cube: cfg(feature = "wgpu"), Flex)]
pub(crate) trait SampleOps: burn::backend::Backend {
    /// The token with its mark, and the answer with it.
    fn sample(
        logits: FloatTensor<Self>,
        said: IntTensor<Self>,
        n: usize,
        draw: Draw,
    ) -> (IntTensor<Self>, IntTensor<Self>);
}

/// Tokens of an answer, on the device.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `[capacity]`, the tokens in front.
    said: Option<Tensor<1, Int>>,
    len: usize,
}

impl Answer {
    /// An answer without tokens, with room for `capacity`.
    #[must_use]
    pub fn new(capacity: usize, device: &Device) -> Self {
        let said = Some(Tensor::empty([capacity.max(1)], device));
        Self { said, len: 0 }
    }

    /// Forgets all but the first `len` tokens.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Chooses a token by its scores and appends it.
    ///
    /// # Shapes
    /// - logits: `[1, vocab_size]`
    /// - output: `[2]`, the token and a mark: 1 where a score was not finite, so that the token means nothing
    ///
    /// # Panics
    /// Without room, and like every operation in burn when the devices differ.
    pub fn next(&mut self, logits: Tensor<2>, draw: Draw) -> Tensor<1, Int> {
        let said = self
            .said
            .take()
            .unwrap_or_else(|| unreachable!("put back below"));
        let [capacity] = said.dims();
        assert!(
            self.len < capacity,
            "an answer of {capacity} tokens is full"
        );
        let (logits, said) = (logits.into_dispatch(), said.into_dispatch());
        let (token, said) = <Dispatch as SampleOps>::sample(logits, said, self.len, draw);
        self.said = Some(Tensor::from_dispatch(said));
        self.len += 1;
        Tensor::from_dispatch(token)
    }
}

impl SampleOps for Flex {
    fn sample(
        logits: FlexTensor,
        said: FlexTensor,
        n: usize,
        draw: Draw,
    ) -> (FlexTensor, FlexTensor) {
        let logits = logits.to_contiguous();
        let scores: &[f32] = logits.storage();
        let mut ids: Vec<i32> = said.storage::<i32>().to_vec();
        let token = reference::sample(scores, &ids[..n], &draw) as i32;
        let is_bad = scores.iter().any(|score| !score.is_finite());
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
