//! LLaMA's sizes.

use serde::{Deserialize, Serialize};

use super::check::{check, is_size};
use crate::ModelError;

/// LLaMA, named as in transformers' `LlamaForCausalLM`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlamaConfig {
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Width of the hidden states.
    pub d_model: usize,
    /// Transformer blocks.
    pub n_layers: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads; fewer than `n_heads` is grouped-query attention.
    pub n_kv_heads: usize,
    /// Width of the SwiGLU layer.
    pub d_ff: usize,
    /// Epsilon of the RMS norms.
    pub rms_norm_eps: f64,
    /// Base of the rotary embedding.
    pub rope_theta: f64,
    /// Longest sequence, visual tokens included.
    pub max_positions: usize,
    /// Whether the head is the transposed embedding table.
    pub tie_embeddings: bool,
}

impl LlamaConfig {
    /// Width of one head.
    #[must_use]
    pub fn d_head(&self) -> usize {
        self.d_model / self.n_heads
    }

    pub(super) fn validate(&self) -> Result<(), ModelError> {
        let sizes = [
            self.vocab_size,
            self.d_model,
            self.n_layers,
            self.n_heads,
            self.n_kv_heads,
            self.d_ff,
            self.max_positions,
        ];
        check(
            sizes.into_iter().all(is_size),
            "every size of llm must lie between 1 and 1048576",
        )?;
        check(
            self.d_model.is_multiple_of(self.n_heads),
            "llm.d_model must be a multiple of n_heads",
        )?;
        check(
            self.d_head().is_multiple_of(2),
            "llm: the head width must be even for RoPE",
        )?;
        check(
            self.n_heads.is_multiple_of(self.n_kv_heads),
            "llm.n_heads must be a multiple of n_kv_heads",
        )
    }
}
