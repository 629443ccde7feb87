//! `[ablation]`: experiments that no run of `models/tiny` uses.

use serde::{Deserialize, Serialize};

use crate::dssl::DsslConfig;
use crate::lora::LoraConfig;

/// Experiments: DSSL for the tables of docs/reproduction.md, LoRA for LISA's recipe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ablation {
    /// DSSL (§8); none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dssl: Option<DsslConfig>,
    /// LoRA on the language model, whose blocks are then frozen; without it they learn unless `freeze`
    /// names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
}

impl Ablation {
    /// # Errors
    /// The first value that cannot be used, in words.
    pub fn validate(&self) -> Result<(), String> {
        if let Some(lora) = &self.lora {
            lora.validate()?;
        }
        if let Some(dssl) = &self.dssl {
            dssl.validate()?;
        }
        Ok(())
    }
}
