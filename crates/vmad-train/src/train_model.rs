//! The model in training, and its encoders over views.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use vmad_model::config::{ClipConfig, SimilaritySource};
use vmad_model::similarity::sam_prior;
use vmad_model::{Vmad, VmadConfig};
use vmad_prep::PhotoFrame;

use crate::dssl::DsslHeads;
use crate::heads::TrainHeads;
use crate::lora::Lora;
use crate::tensors::{images, ints};
use crate::view::{ClipSource, SamSource, View};

/// The model with the heads that only training has. Checkpoints contain the names of the fields.
#[derive(Module, Debug)]
pub struct TrainModel {
    /// The exported model.
    pub model: Vmad,
    /// Heads of the auxiliary losses; not exported.
    pub heads: TrainHeads,
    /// DSSL's heads; not exported.
    pub dssl: Option<DsslHeads>,
    /// LoRA's factors, merged when the model is exported.
    pub lora: Option<Lora>,
}

/// Some of a batch's views: those that have a mask.
pub struct Selection<'a> {
    indices: &'a [usize],
    views: Vec<&'a View>,
}

impl<'a> Selection<'a> {
    /// The views at `indices`.
    pub fn new(indices: &'a [usize], views: &[&'a View]) -> Self {
        let views = indices.iter().map(|i| views[*i]).collect();
        Self { indices, views }
    }

    /// The indices as a tensor, to select rows of the batch.
    pub fn rows(&self, device: &Device) -> Tensor<1, Int> {
        ints(self.indices.iter().map(|i| *i as i32).collect(), device)
    }

    /// Where the photographs lie in the encoders' inputs.
    pub fn frames(&self) -> Vec<PhotoFrame> {
        self.views.iter().map(|view| view.frame).collect()
    }
}

impl TrainModel {
    /// CLIP's taps, each `[n, grid², d_vision]`; those of a frozen encoder are read from the views.
    pub fn clip_taps(
        &self,
        config: &VmadConfig,
        sources: &[&ClipSource],
        device: &Device,
    ) -> Vec<Tensor<3>> {
        let (n, clip) = (sources.len(), &config.clip);
        let mut pixels = Vec::new();
        let mut priors = Vec::new();
        let mut kept = vec![Vec::new(); clip.taps.len()];
        for source in sources {
            match source {
                ClipSource::Pixels {
                    pixels: values,
                    prior,
                } => {
                    pixels.extend_from_slice(values);
                    priors.extend_from_slice(prior);
                }
                ClipSource::Taps(taps) => {
                    for (all, tap) in kept.iter_mut().zip(taps) {
                        all.extend(tap.iter().map(|value| value.to_f32()));
                    }
                }
            }
        }
        if pixels.is_empty() {
            let shape = [n, clip.grid().pow(2), clip.d_model];
            let tensor = |values| Tensor::from_data(TensorData::new(values, shape), device);
            return kept.into_iter().map(tensor).collect();
        }
        let prior = (!priors.is_empty()).then(|| {
            let side = clip.prior_side();
            images(priors, ClipConfig::PRIOR_CHANNELS, side, device)
        });
        let pixels = images(pixels, 3, clip.image_size, device);
        self.model.clip.forward(pixels, prior).taps
    }

    /// SAM's image embedding, `[n, d_out, grid, grid]`; that of a frozen encoder is read from the views.
    pub fn sam_embedding(
        &self,
        config: &VmadConfig,
        views: &[&View],
        device: &Device,
    ) -> Tensor<4> {
        let sam = &config.sam;
        let mut pixels = Vec::new();
        let mut kept = Vec::new();
        for view in views {
            match &view.sam {
                SamSource::Pixels(values) => pixels.extend_from_slice(values),
                SamSource::Embedding(values) => kept.extend(values.iter().map(|v| v.to_f32())),
            }
        }
        if pixels.is_empty() {
            return images(kept, sam.d_out, sam.grid(), device);
        }
        let pixels = images(pixels, 3, sam.image_size, device);
        self.model.sam_encoder.forward(pixels)
    }

    /// Mask logits of the selected views, `[selected, 1, mask_side, mask_side]`.
    ///
    /// # Shapes
    /// - prompts: `[selected, d_text]`, the hidden states that prompt the masks
    /// - image: `[selected, d_out, grid, grid]`
    /// - taps: of the whole batch, each `[n, grid², d_vision]`
    pub fn segment(
        &self,
        config: &VmadConfig,
        prompts: Tensor<2>,
        image: Tensor<4>,
        taps: &[Tensor<3>],
        selection: &Selection,
    ) -> Tensor<4> {
        let prior = similarity_prior(config, taps, selection);
        self.model.segment(prompts, image, prior)
    }
}

/// The similarity prior of the selected views, `[selected, 1, mask_side, mask_side]`, where the
/// model takes one.
fn similarity_prior(
    config: &VmadConfig,
    taps: &[Tensor<3>],
    selection: &Selection,
) -> Option<Tensor<4>> {
    if !config.sam.similarity_prompt {
        return None;
    }
    let tap = &taps[config.similarity_tap()];
    let device = tap.device();
    Some(match config.sam.similarity_source {
        SimilaritySource::Pixels => {
            let values = selection.views.iter().flat_map(|view| &view.sam_prior);
            let values = values.copied().collect::<Vec<f32>>();
            images(values, 1, config.sam.mask_side(), &device)
        }
        SimilaritySource::Clip => {
            let tap = tap.clone().select(0, selection.rows(&device));
            sam_prior(tap, config, &selection.frames())
        }
    })
}
