//! The heads of DSSL and its loss.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use vmad_kernels::Activation;
use vmad_model::nn::{Linear, Mlp};
use vmad_model::{Builder, Init, ModelError, VmadConfig};

use super::boxes::PatchBox;
use super::config::{DsslConfig, VisualHead};
use super::memory::{Centre, Entry, Memory, Observation};
use super::pbsd::{contrastive, log_similarity, pbsd, unit};
use super::pooling::{Extent, extent_mean};
use super::roi_align::roi_mean;
use crate::TrainError;

/// Width of DSCL's head and of g̃.
const D_HEAD: usize = 128;
/// The Meta-Net's bottleneck, as a share of the text's width: CoCoOp's.
const BOTTLENECK: usize = 16;
/// Its least width.
const LEAST_BOTTLENECK: usize = 8;

/// What only training has.
#[derive(Module, Debug)]
pub struct DsslHeads {
    meta_net: Mlp,
    vis_proj: Linear,
    clip_head: Mlp,
    vis_head: Option<Mlp>,
}

/// What the encoders made of a batch.
#[derive(Clone, Debug)]
pub struct Maps {
    /// F_v, `[n, d_sam, grid, grid]`.
    pub sam: Tensor<4>,
    /// F_t, the last tap, `[n, grid², d_vision]`.
    pub clip: Tensor<3>,
}

/// A picture of a batch.
#[derive(Clone, Debug)]
pub struct DsslImage {
    /// Which picture it is; the same in every epoch.
    pub image: u64,
    /// Its class ([`DsslConfig::class_of`]).
    pub class: String,
    /// Whether it shows a defect.
    pub is_abnormal: bool,
    /// Token ids of the class's normal description; without any, t_i is zero.
    pub description: Vec<i32>,
    /// Where SAM sees the photograph.
    pub sam_extent: Extent,
    /// Where CLIP sees the photograph.
    pub clip_extent: Extent,
    /// Its patches; without them the picture adds nothing to (18).
    pub patches: Option<Patches>,
}

/// Patches of a picture.
#[derive(Clone, Debug)]
pub struct Patches {
    /// B_k, in SAM's square.
    pub boxes: Vec<PatchBox>,
    /// LTC(CLIP(resize(crop(I, B_k)))), `[k, n_visual, d_text]`; gradients go back through it.
    pub tokens: Tensor<3>,
}

/// What a picture is compared with: the memory's entries on the device.
struct Keys {
    pooled: Tensor<2>,
    clip: Tensor<2>,
    is_normal: Tensor<1>,
}

impl Keys {
    fn new(others: &[(&Entry, bool)], device: &Device) -> Self {
        let m = others.len();
        let rows = |part: fn(&Entry) -> &Vec<f32>| {
            let d = others.first().map_or(0, |(entry, _)| part(entry).len());
            let values = others
                .iter()
                .flat_map(|(entry, _)| part(entry).iter().copied());
            Tensor::from_data(TensorData::new(values.collect(), [m, d]), device)
        };
        let is_normal = others
            .iter()
            .map(|(_, normal)| f32::from(u8::from(*normal)));
        Self {
            pooled: rows(|entry| &entry.pooled),
            clip: rows(|entry| &entry.clip),
            is_normal: Tensor::from_data(TensorData::new(is_normal.collect(), [m]), device),
        }
    }
}

impl DsslHeads {
    /// Builds the heads under the builder's name, `dssl` in a run.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(
        b: &mut Builder,
        config: &DsslConfig,
        model: &VmadConfig,
    ) -> Result<Self, ModelError> {
        let (d_vision, d_sam) = (model.clip.d_model, model.sam.d_out);
        let d_text = model.llm.d_model;
        let bottleneck = (d_text / BOTTLENECK).max(LEAST_BOTTLENECK);
        let widths = [d_text, bottleneck, d_text];
        let layers = ("linear1", "linear2");
        let meta_net = Mlp::new(&mut b.at("meta_net"), layers, widths, Init::Torch)?;
        let vis_proj = Linear::without_bias(&mut b.at("vis_proj"), D_HEAD, d_text, Init::Torch)?;
        let mut head = |name: &str, d: usize| {
            Mlp::new(&mut b.at(name), ("0", "2"), [d, d, D_HEAD], Init::Torch)
        };
        let clip_head = head("clip_head", d_vision)?;
        let vis_head = match config.head {
            VisualHead::Centred => None,
            VisualHead::Dscl => Some(head("vis_head", d_sam)?),
        };
        Ok(Self {
            meta_net,
            vis_proj,
            clip_head,
            vis_head,
        })
    }

    /// The loss of a batch: (18), averaged over the pictures that have patches and enough to be
    /// compared with in the memory, and for DSCL's head its contrastive loss. `None` where there is
    /// no such picture. λ_ds is left to the caller.
    ///
    /// Gradients reach the crops' tokens, the Meta-Net, W_g and g̃, and DSCL's head from its own
    /// loss; never the maps, the memory or the embeddings.
    ///
    /// `embed` gives the language model's embeddings of token ids, `[ids, d_text]`.
    ///
    /// # Errors
    /// What `embed` says.
    pub fn loss(
        &self,
        config: &DsslConfig,
        memory: &Memory,
        maps: &Maps,
        images: &[DsslImage],
        embed: impl Fn(&[i32]) -> Result<Tensor<2>, ModelError>,
    ) -> Result<Option<Tensor<1>>, TrainError> {
        let device = maps.sam.device();
        let mut distilled = Vec::new();
        let mut contrasted = Vec::new();
        for (index, image) in images.iter().enumerate() {
            let Some(others) = memory.others(&image.class, image.image) else {
                continue;
            };
            let keys = Keys::new(&others, &device);
            let z = self.visual(keys.pooled.clone(), memory.centre());
            if let Some(patches) = &image.patches {
                let map = maps.sam.clone().narrow(0, index, 1).detach();
                let b = self.visual(pooled_boxes(map, image, patches), memory.centre());
                let p = log_similarity(b, z.clone(), config.temperature);
                let text = self.text(&others, &embed, &device)?;
                let s = self.entries(text, keys.clip.clone());
                let q = log_similarity(crops(patches.tokens.clone()), s, config.temperature);
                distilled.push(pbsd(p, q, keys.is_normal.clone(), config.pbsd_support));
            }
            if self.vis_head.is_some() {
                let map = maps.sam.clone().narrow(0, index, 1).detach();
                let pooled = extent_mean(cells(map), &[image.sam_extent], &device);
                let anchor = self.visual(pooled, memory.centre());
                let is_like = if image.is_abnormal {
                    keys.is_normal.neg() + 1.0
                } else {
                    keys.is_normal
                };
                let similarity = log_similarity(anchor, z, config.temperature);
                contrasted.push(contrastive(similarity, is_like));
            }
        }
        let contrasted = mean(contrasted).map(|loss| loss * config.contrastive);
        Ok(match (mean(distilled), contrasted) {
            (Some(distilled), Some(contrasted)) => Some(distilled + contrasted),
            (distilled, contrasted) => distilled.or(contrasted),
        })
    }

    /// ν(g(·)) of (8) and (9).
    ///
    /// # Shapes
    /// - pooled: `[n, d_sam]`
    /// - output: `[n, d_sam]`, or `[n, 128]` from DSCL's head
    pub fn visual(&self, pooled: Tensor<2>, centre: &Centre) -> Tensor<2> {
        unit(match &self.vis_head {
            Some(head) => head.forward(pooled, Activation::Relu),
            None if centre.mean.is_empty() => pooled,
            None => {
                let mean = TensorData::new(centre.mean.clone(), [1, centre.mean.len()]);
                let mean = Tensor::from_data(mean, &pooled.device());
                pooled - mean
            }
        })
    }

    /// s of (14).
    ///
    /// # Shapes
    /// - text: t_i, `[m, d_text]`
    /// - clip: GAP(F_t,i), `[m, d_vision]`
    /// - output: `[m, d_text]`
    pub fn entries(&self, text: Tensor<2>, clip: Tensor<2>) -> Tensor<2> {
        let z = unit(self.clip_head.forward(clip, Activation::Relu));
        unit(self.meta_net.forward(text, Activation::Relu) + self.vis_proj.forward(z))
    }

    /// t of each entry, `[m, d_text]`. Entries of a class mostly share their description, which is
    /// embedded once.
    fn text(
        &self,
        others: &[(&Entry, bool)],
        embed: impl Fn(&[i32]) -> Result<Tensor<2>, ModelError>,
        device: &Device,
    ) -> Result<Tensor<2>, TrainError> {
        let mut distinct: Vec<&[i32]> = Vec::new();
        let mut which = Vec::with_capacity(others.len());
        for (entry, _) in others {
            let ids = entry.description.as_slice();
            let found = distinct.iter().position(|known| *known == ids);
            which.push(found.unwrap_or(distinct.len()) as i32);
            if found.is_none() {
                distinct.push(ids);
            }
        }
        let means = distinct
            .iter()
            .map(|ids| match ids {
                // The width is that of any token's embedding.
                [] => Ok(embed(&[0])?.detach() * 0.0),
                ids => Ok(embed(ids)?.detach().mean_dim(0)),
            })
            .collect::<Result<Vec<_>, TrainError>>()?;
        let which = TensorData::new(which, [others.len()]);
        let which = Tensor::<1, Int>::from_data(which, device);
        Ok(Tensor::cat(means, 0).select(0, which))
    }
}

/// b̃ of (13).
///
/// # Shapes
/// - tokens: `[k, n_visual, d_text]`
/// - output: `[k, d_text]`
fn crops(tokens: Tensor<3>) -> Tensor<2> {
    let [k, _, d_text] = tokens.dims();
    unit(tokens.mean_dim(1).reshape([k, d_text]))
}

/// RoIAlign and its mean, (8), `[k, d_sam]`.
fn pooled_boxes(map: Tensor<4>, image: &DsslImage, patches: &Patches) -> Tensor<2> {
    let [_, d, height, width] = map.dims();
    let boxes: Vec<_> = patches.boxes.iter().map(PatchBox::edges).collect();
    let scale = width as f64 / image.sam_extent.side;
    roi_mean(map.reshape([d, height, width]), &boxes, scale)
}

/// `[n, d, grid, grid]` to `[n, grid², d]`.
fn cells(map: Tensor<4>) -> Tensor<3> {
    let [n, d, height, width] = map.dims();
    map.reshape([n, d, height * width]).swap_dims(1, 2)
}

fn mean(losses: Vec<Tensor<1>>) -> Option<Tensor<1>> {
    let n = losses.len() as f64;
    let sum = losses.into_iter().reduce(|sum, loss| sum + loss);
    sum.map(|sum| sum / n)
}

/// What the memory keeps of a batch, in its order. No gradient is kept.
///
/// # Errors
/// The device's, when reading back.
pub fn observe(maps: &Maps, images: &[DsslImage]) -> Result<Vec<Observation>, TrainError> {
    let device = maps.sam.device();
    let extents = |of: fn(&DsslImage) -> Extent| images.iter().map(of).collect::<Vec<_>>();
    let sam = cells(maps.sam.clone().detach());
    let sam = extent_mean(sam, &extents(|image| image.sam_extent), &device);
    let clip = maps.clip.clone().detach();
    let clip = extent_mean(clip, &extents(|image| image.clip_extent), &device);
    let seen = images.iter().zip(rows(sam)?.into_iter().zip(rows(clip)?));
    let seen = seen.map(|(image, (pooled, clip))| Observation {
        class: image.class.clone(),
        is_abnormal: image.is_abnormal,
        entry: Entry {
            image: image.image,
            pooled,
            clip,
            description: image.description.clone(),
        },
    });
    Ok(seen.collect())
}

fn rows(x: Tensor<2>) -> Result<Vec<Vec<f32>>, TrainError> {
    let [_, d] = x.dims();
    let values = x.try_into_data();
    let values = values.map_err(|error| TrainError::Readback(format!("{error:?}")))?;
    let values: Vec<f32> = values.iter::<f32>().collect();
    Ok(values.chunks_exact(d).map(<[f32]>::to_vec).collect())
}
