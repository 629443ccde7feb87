//! The language model with everything that turns a conversation into its input.

use burn::tensor::{Device, Tensor, s};
use vmad_model::llama::KvCache;
use vmad_model::{Vmad, VmadConfig};
use vmad_package::{Conversation, Templates};
use vmad_prep::{IMAGE_SENTINEL, Tokenizer};

use crate::EngineError;

/// The read-only parts of an engine that a conversation uses.
#[derive(Clone, Copy)]
pub(crate) struct LanguageContext<'a> {
    pub model: &'a Vmad,
    pub config: &'a VmadConfig,
    pub tokenizer: &'a Tokenizer,
    pub conversation: &'a Conversation,
    pub templates: &'a Templates,
    pub device: &'a Device,
    /// Decoding steps that are launched before the token in front of them is read.
    pub n_lookahead: usize,
}

/// Output of the language model at one position, which predicts the token after it.
pub(crate) struct LmOutput {
    /// Hidden state after the final norm, `[1, d_text]`.
    pub state: Tensor<2>,
    /// `[1, vocab_size]`
    pub logits: Tensor<2>,
}

impl LanguageContext<'_> {
    /// Fails when the context has fewer than `needed` positions.
    pub fn check_room(&self, needed: usize) -> Result<(), EngineError> {
        let limit = self.config.llm.max_positions;
        if needed > limit {
            return Err(EngineError::ContextFull { needed, limit });
        }
        Ok(())
    }

    /// Runs the language model over a prompt in which the visual tokens replace the image sentinel.
    ///
    /// # Shapes
    /// - visual_tokens: `[1, n_visual, d_text]`
    /// - output: hidden states `[1, n, d_text]`, after the final norm
    pub fn forward_prompt(
        &self,
        ids: &[i32],
        visual_tokens: &Tensor<3>,
        cache: &mut KvCache,
    ) -> Result<Tensor<3>, EngineError> {
        let x = self
            .model
            .embed_prompt(ids, IMAGE_SENTINEL, Some(visual_tokens), self.device)?;
        Ok(self.model.llm.forward(x, cache)?)
    }

    /// Runs the language model over further tokens. `seg_conditioning` is added to the embedding of
    /// the first `[SEG]` among them.
    ///
    /// # Shapes
    /// - seg_conditioning: `[1, d_text]`
    /// - output: hidden states `[1, n, d_text]`, after the final norm
    pub fn forward_tokens(
        &self,
        ids: &[i32],
        seg_conditioning: Option<&Tensor<2>>,
        cache: &mut KvCache,
    ) -> Result<Tensor<3>, EngineError> {
        let seg = self.tokenizer.ids().seg;
        let mut x = self.model.llm.embed(ids, self.device)?; // [n, d_text]
        let at = ids.iter().position(|id| *id == seg);
        if let (Some(at), Some(conditioning)) = (at, seg_conditioning) {
            let row = x.clone().narrow(0, at, 1) + conditioning.clone();
            x = x.slice_assign(s![at..at + 1, ..], row);
        }
        Ok(self.model.llm.forward(x.unsqueeze::<3>(), cache)?)
    }

    /// The logits at every position.
    ///
    /// # Shapes
    /// - hidden: `[1, n, d_text]`
    /// - output: `[n, vocab_size]`
    pub fn logits(&self, hidden: Tensor<3>) -> Tensor<2> {
        let [_, n, d_text] = hidden.dims();
        self.model.llm.logits(hidden.reshape([n, d_text]))
    }

    /// The output at the last position.
    ///
    /// # Shapes
    /// - hidden: `[1, n, d_text]`
    pub fn last_output(&self, hidden: Tensor<3>) -> LmOutput {
        let [_, n, d_text] = hidden.dims();
        let state = hidden.narrow(1, n - 1, 1).reshape([1, d_text]);
        let logits = self.model.llm.logits(state.clone());
        LmOutput { state, logits }
    }

    /// What is added to the embedding of a `[SEG]`: the evidence in its mask, and the verdict.
    /// `None` in models without evidence.
    ///
    /// # Shapes
    /// - evidence, output: `[1, d_text]`
    pub fn seg_conditioning(
        &self,
        evidence: Option<Tensor<2>>,
        is_anomalous: bool,
    ) -> Option<Tensor<2>> {
        let module = self.model.evidence.as_ref()?;
        Some(module.with_verdict(evidence?, &[is_anomalous]))
    }

    /// Ids that end a turn whose answer was forced up to the word before `[SEG]`.
    pub fn forced_turn_end_ids(&self) -> Result<Vec<i32>, EngineError> {
        let rest = format!("[SEG].{}", self.conversation.end);
        Ok(self.tokenizer.encode(&rest, false)?)
    }

    /// Ids of a further question, after those that end the turn before it.
    pub fn follow_up_ids(&self, pending: &[i32], question: &str) -> Result<Vec<i32>, EngineError> {
        let turn = self.conversation.follow_up(question);
        let mut ids = pending.to_vec();
        ids.extend(self.tokenizer.encode(&turn, false)?);
        Ok(ids)
    }
}
