//! The conversation about one photograph.

use burn::tensor::Tensor;
use vmad_model::llama::KvCache;
use vmad_prep::{PhotoFrame, PrepError, Region, anomaly_map, union_max, upscale_logits};

use crate::image_features::ImageFeatures;
use crate::{AnomalyMap, Inspection, Stage, Thresholds};

/// A photograph that was inspected, and the conversation about it.
///
/// Invariant between calls: the cache ends with the last finished turn. A turn that fails, is
/// cancelled or is dropped is undone by [`Self::roll_back`].
pub(crate) struct Session {
    pub frame: PhotoFrame,
    pub image: ImageFeatures,
    /// Keys and values of the prompt and of all turns so far.
    pub cache: KvCache,
    /// Positions of the cache that belong to finished turns.
    pub n_committed: usize,
    /// Ids that end the last finished turn and are not in the cache yet.
    pub pending: Vec<i32>,
    /// What is added to the embedding of the last `[SEG]`, `[1, d_text]`.
    pub seg_conditioning: Option<Tensor<2>>,
    /// Logits of each mask, `[4·grid, 4·grid]`.
    pub masks: Vec<Vec<f32>>,
    /// Whether the model itself produced `[SEG]`.
    pub seg_produced: bool,
    pub thresholds: Thresholds,
    /// The score of the photograph, 0 to 1.
    pub score: f32,
    pub regions: Vec<Region>,
}

impl Session {
    /// Bytes of keys and values, and of image features.
    pub fn bytes(&self) -> (u64, u64) {
        (self.cache.bytes() as u64, self.image.bytes())
    }

    /// The verdict: whether the score reaches the threshold.
    pub fn is_anomalous(&self) -> bool {
        self.score >= self.thresholds.image
    }

    /// Removes a turn that did not end from the cache.
    pub fn roll_back(&mut self) {
        self.cache.truncate(self.n_committed);
    }

    /// The anomaly map at the photograph's size: σ(logit / temperature) of the pixelwise maximum of
    /// all masks.
    pub fn anomaly_map(&self, side: u32, temperature: f32) -> Result<AnomalyMap, PrepError> {
        let masks = self.masks.iter();
        // [height, width]
        let union = union_max(masks.map(|logits| upscale_logits(logits, side, &self.frame)))?;
        let (width, height) = self.frame.photo_size;
        Ok(AnomalyMap {
            width,
            height,
            // σ is monotone, so the maximum may be taken of the logits.
            values: anomaly_map(&union, temperature),
        })
    }

    /// The verdict as callers receive it.
    pub fn inspection(
        &self,
        answer: String,
        device: String,
        timings: Vec<(Stage, f64)>,
    ) -> Inspection {
        Inspection {
            score: self.score,
            threshold: self.thresholds.image,
            anomalous: self.is_anomalous(),
            map_threshold: self.thresholds.pixel,
            regions: self.regions.clone(),
            answer,
            seg_produced: self.seg_produced,
            device,
            timings,
        }
    }
}
