//! The encoders over a batch, and the losses that the vision and the joint stage have in common.

use burn::tensor::{Device, Tensor, TensorData};

use super::train_stage::{Step, StepOutput};
use crate::TrainError;
use crate::dssl::{DsslConfig, DsslHeads, DsslImage, Extent, Maps, Memory, Patches, observe};
use crate::heads::kind_loss;
use crate::loss_functions::{bce, dice};
use crate::loss_parts::{LossPart, LossParts};
use crate::view::View;

/// The encoders' outputs for a batch.
pub struct Encoded {
    /// CLIP's taps, each `[n, grid², d_vision]`; zeros where nothing reads them.
    pub taps: Vec<Tensor<3>>,
    /// SAM's embedding, `[n, d_out, grid, grid]`.
    pub image: Option<Tensor<4>>,
}

impl Encoded {
    /// Runs the encoders that are needed.
    pub fn new(step: &Step, needs_clip: bool, needs_image: bool) -> Self {
        let Step {
            train_model,
            run,
            batch,
            device,
        } = *step;
        let config = &run.model;
        let sources: Vec<_> = batch.views.iter().map(|view| &view.clip).collect();
        let taps = match needs_clip {
            true => train_model.clip_taps(config, &sources, device),
            false => {
                let clip = &config.clip;
                let shape = [sources.len(), clip.grid().pow(2), clip.d_model];
                vec![Tensor::zeros(shape, device); clip.taps.len()]
            }
        };
        let image = needs_image.then(|| train_model.sam_embedding(config, batch.views, device));
        Self { taps, image }
    }

    /// CLIP's last tap, `[n, grid², d_vision]`.
    pub fn last_tap(&self) -> Tensor<3> {
        self.taps[self.taps.len() - 1].clone()
    }
}

/// Sets [`LossPart::Kind`], where the run has it.
///
/// # Shapes
/// - logits: `[n, cells, PATCH_CLASSES]`
pub fn set_kind_loss(step: &Step, parts: &mut LossParts, logits: Tensor<3>) {
    if step.run.loss.kind != 0.0
        && let Some(loss) = kind_loss(logits, &patches_of(step))
    {
        parts.set(LossPart::Kind, loss);
    }
}

/// The classes of each view's patches.
pub fn patches_of<'a>(step: &Step<'a>) -> Vec<&'a [u8]> {
    let patches = |view: &&'a View| -> &'a [u8] { &view.targets.patches };
    step.batch.views.iter().map(patches).collect()
}

/// Sets [`LossPart::Cell`], where the run has it.
pub fn set_cell_loss(step: &Step, parts: &mut LossParts, image: &Tensor<4>) {
    if step.run.loss.cell != 0.0 {
        let targets: Vec<_> = step.batch.views.iter().map(|view| &view.targets).collect();
        let loss = step.train_model.heads.cell_loss(image.clone(), &targets);
        parts.set(LossPart::Cell, loss);
    }
}

/// Sets [`LossPart::Bce`] and [`LossPart::Dice`].
///
/// # Shapes
/// - logits: `[with_mask, mask_side²]`, of the views at the indices `with_mask`
pub fn set_mask_losses(step: &Step, parts: &mut LossParts, logits: Tensor<2>, with_mask: &[usize]) {
    let n_cells = step.run.model.sam.mask_side().pow(2);
    let batch = step.batch;
    let target = |i: &usize| batch.views[*i].targets.mask(batch.tolerated(*i), n_cells);
    let targets = with_mask.iter().map(target).collect::<Vec<_>>();
    let (target, has_target) = mask_targets(&targets, step.device);
    parts.set(LossPart::Bce, bce(logits.clone(), target.clone()));
    parts.set(LossPart::Dice, dice(logits, target, has_target));
}

/// Adds DSSL's loss and the entries for its memory, where the run has DSSL.
///
/// # Errors
/// The model's.
pub fn add_dssl(
    step: &Step,
    output: &mut StepOutput,
    encoded: &Encoded,
    image: &Tensor<4>,
) -> Result<(), TrainError> {
    let (heads, dssl) = (&step.train_model.dssl, &step.run.ablation.dssl);
    let (Some(heads), Some(dssl), Some((memory, counts))) = (heads, dssl, step.batch.memory) else {
        return Ok(());
    };
    let maps = Maps {
        sam: image.clone(),
        clip: encoded.last_tap(),
    };
    let images = dssl_images(step, dssl, memory, counts);
    if let Some(loss) = dssl_loss(step, (heads, dssl), memory, &maps, &images)? {
        output.parts.set(LossPart::Dssl, loss);
    }
    output.observations = observe(&maps, &images)?;
    Ok(())
}

fn dssl_loss(
    step: &Step,
    (heads, dssl): (&DsslHeads, &DsslConfig),
    memory: &Memory,
    maps: &Maps,
    images: &[DsslImage],
) -> Result<Option<Tensor<1>>, TrainError> {
    let llm = &step.train_model.model.llm;
    let device = maps.sam.device();
    let embed = |ids: &[i32]| llm.embed(ids, &device);
    heads.loss(dssl, memory, maps, images, embed)
}

/// The pictures of a batch for DSSL; those whose class is ready have patches.
fn dssl_images(step: &Step, dssl: &DsslConfig, memory: &Memory, counts: bool) -> Vec<DsslImage> {
    let (train_model, batch) = (step.train_model, step.batch);
    let image_of = |((view, scene), description): ((&&View, &u64), &Vec<i32>)| {
        let text = &view.targets.text;
        let class = dssl.class_of(&text.object);
        let has_patches = counts && memory.is_ready(&class, *scene) && !view.crops.is_empty();
        let patches = has_patches.then(|| {
            let sources: Vec<_> = view.crops.iter().map(|(_, source)| source).collect();
            let taps = train_model.clip_taps(&step.run.model, &sources, step.device);
            Patches {
                boxes: view.crops.iter().map(|(patch, _)| *patch).collect(),
                tokens: train_model.model.projector.forward(&taps),
            }
        });
        DsslImage {
            image: *scene,
            class,
            is_abnormal: !text.defects.is_empty(),
            description: description.clone(),
            sam_extent: Extent::of_sam(&view.frame),
            clip_extent: Extent::of_clip(&view.frame),
            patches,
        }
    };
    let views = batch.views.iter().zip(batch.scenes);
    views.zip(batch.descriptions).map(image_of).collect()
}

/// Masks `[n, mask_side²]` in 0..1, and 1 for each that has a defect, `[n]`.
fn mask_targets(masks: &[Vec<u8>], device: &Device) -> (Tensor<2>, Tensor<1>) {
    let n = masks.len();
    let shares: Vec<f32> = masks
        .iter()
        .flat_map(|mask| mask.iter().map(|v| f32::from(*v) / 255.0))
        .collect();
    let has_target: Vec<f32> = masks
        .iter()
        .map(|mask| f32::from(u8::from(mask.iter().any(|v| *v > 0))))
        .collect();
    let n_cells = shares.len() / n.max(1);
    (
        Tensor::from_data(TensorData::new(shares, [n, n_cells]), device),
        Tensor::from_data(TensorData::new(has_target, [n]), device),
    )
}
