//! An opened package: everything of an engine that never changes.

use vmad_model::{Vmad, VmadConfig};
use vmad_package::Manifest;
use vmad_prep::Tokenizer;

use crate::language_context::LanguageContext;
use crate::{SelectedDevice, Stage, Thresholds};

/// A model on a device, with its manifest and tokenizer.
pub(crate) struct LoadedModel {
    pub model: Vmad,
    pub config: VmadConfig,
    pub manifest: Manifest,
    pub tokenizer: Tokenizer,
    pub device: SelectedDevice,
    /// Decoding steps that are launched before the token in front of them is read.
    pub n_lookahead: usize,
    pub stats: LoadStats,
}

/// Times and bytes of loading.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoadStats {
    /// Stage and milliseconds.
    pub timings: Vec<(Stage, f64)>,
    /// Bytes of all weights on the device.
    pub weights_bytes: u64,
    /// Bytes of the largest shard.
    pub peak_shard_bytes: u64,
}

impl LoadedModel {
    /// What the language model's code uses.
    pub fn language(&self) -> LanguageContext<'_> {
        LanguageContext {
            model: &self.model,
            config: &self.config,
            tokenizer: &self.tokenizer,
            conversation: &self.manifest.meta.conversation,
            templates: &self.manifest.meta.templates,
            device: &self.device.device,
            n_lookahead: self.n_lookahead,
        }
    }

    /// The package's thresholds.
    pub fn thresholds(&self) -> Thresholds {
        let threshold = &self.manifest.meta.threshold;
        Thresholds {
            image: threshold.image,
            pixel: threshold.pixel,
        }
    }

    /// Side of a mask in logits.
    pub fn logits_side(&self) -> u32 {
        self.config.sam.mask_side() as u32
    }

    /// Name of the device.
    pub fn device_name(&self) -> String {
        self.device.kind.to_string()
    }
}
