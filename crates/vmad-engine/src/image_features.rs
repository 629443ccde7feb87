//! Features of a photograph that its conversation keeps, and the masks decoded from them.

use burn::tensor::Tensor;
use vmad_model::evidence::Features;

use crate::EngineError;
use crate::call_context::CallContext;
use crate::language_context::LanguageContext;

/// Everything that a mask is decoded from, except the `[SEG]` state.
pub(crate) struct ImageFeatures {
    /// SAM's image embedding and, only where the model takes evidence, CLIP's taps.
    pub features: Features,
    /// SAM's dense mask prompt, `[1, 1, 4·grid, 4·grid]`, where the model takes one.
    pub mask_prompt: Option<Tensor<4>>,
}

/// A mask, decoded for one `[SEG]`.
pub(crate) struct DecodedMask {
    /// `[4·grid, 4·grid]`
    pub logits: Vec<f32>,
    /// Evidence in the mask, `[1, d_text]`, where the model takes evidence.
    pub evidence: Option<Tensor<2>>,
}

impl ImageFeatures {
    /// Bytes of the features on the device.
    pub fn bytes(&self) -> u64 {
        fn bytes_of<const D: usize>(tensor: &Tensor<D>) -> u64 {
            (tensor.dims().iter().product::<usize>() * size_of::<f32>()) as u64
        }
        let taps: u64 = self.features.taps.iter().map(bytes_of).sum();
        taps + bytes_of(&self.features.image) + self.mask_prompt.as_ref().map_or(0, bytes_of)
    }

    /// Decodes the mask of a `[SEG]`.
    ///
    /// # Shapes
    /// - state: `[1, d_text]`, the hidden state that predicts `[SEG]`
    pub async fn decode_mask(
        &self,
        lm: &LanguageContext<'_>,
        state: &Tensor<2>,
        ctx: &CallContext,
    ) -> Result<DecodedMask, EngineError> {
        let image = self.features.image.clone();
        let mask_prompt = self.mask_prompt.clone();
        let mask = lm.model.segment(state.clone(), image, mask_prompt); // [1, 1, side, side]
        let evidence = lm.model.evidence.as_ref();
        Ok(DecodedMask {
            evidence: evidence.map(|e| e.forward(mask.clone(), &self.features, lm.config)),
            logits: ctx.read(mask).await?,
        })
    }
}
