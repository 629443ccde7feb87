//! Validation on held-out scenes during a run.

use burn::module::Module;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use vmad_data::DefectKind;
use vmad_prep::RgbImage;

use crate::TrainError;
use crate::batch::Batch;
use crate::config::TrainConfig;
use crate::crop_window::CropWindow;
use crate::dialogue::Dialogue;
use crate::patch_classes::{cells_by_kind, class_of};
use crate::stage::{Step, stage_of};
use crate::train_model::TrainModel;
use crate::view::{View, prepare_view};
use crate::worlds::{Purpose, Worlds};

/// From the seed of the scenes that a run learns from to that of the ones it is measured on.
const SEED_OFFSET: u64 = 1_000_003;
/// Views that run at a time.
const CHUNK: usize = 8;

/// A scene that the run does not learn from.
pub struct HeldOut {
    /// The photograph.
    pub image: RgbImage,
    pub(crate) view: View,
}

/// The model's prediction for a held-out scene.
pub struct Preview {
    /// `[side, side]`, the probability of a defect in each cell of SAM's square.
    pub map: Vec<f32>,
    /// Side of the map.
    pub side: usize,
    /// The share of each cell that is defective, 0 to 255.
    pub target: Vec<u8>,
    /// Each known kind among its defects, and the kind that the training heads predict for the cells of
    /// these defects, as in [`crate::LossPart::Kind`].
    pub kinds: Vec<(DefectKind, DefectKind)>,
    /// Whether there is any defect.
    pub is_defective: bool,
}

impl HeldOut {
    /// Scene `index` of the run's worlds under another seed, at the difficulty of its last scenes, or
    /// a held-out photograph.
    fn new(config: &TrainConfig, worlds: &Worlds, index: usize) -> Result<Self, TrainError> {
        let sample = worlds.scene(index, config.scene_size())?;
        let crop = config.data.crop.map(|share| {
            let mut rng = ChaCha8Rng::seed_from_u64(index as u64);
            CropWindow::around_a_defect(&sample, share, &mut rng)
        });
        let view = prepare_view(&config.model, &sample, crop, None);
        let image = match crop {
            Some(crop) => crop.crop(&sample.image),
            None => sample.image,
        };
        Ok(Self { image, view })
    }

    /// The first `n` of a run.
    pub(crate) fn first(config: &TrainConfig, n: usize) -> Result<Vec<Self>, TrainError> {
        let mut config = config.clone();
        config.data.seed = Some(config.data_seed().wrapping_add(SEED_OFFSET));
        config.data.difficulty_start = config.data.difficulty_end;
        let worlds = Worlds::new(&config, Purpose::HeldOut)?;
        let scene = |index| Self::new(&config, &worlds, index);
        (0..n).into_par_iter().map(scene).collect()
    }
}

/// The model's predictions for held-out scenes. `dialogues` ask for the mask of each, where the stage
/// has dialogues.
pub(crate) fn preview(
    train_model: &TrainModel,
    config: &TrainConfig,
    scenes: &[HeldOut],
    dialogues: &[Dialogue],
    device: &burn::tensor::Device,
) -> Result<Vec<Preview>, TrainError> {
    let train_model = train_model.valid();
    let views: Vec<&View> = scenes.iter().map(|scene| &scene.view).collect();
    let chunks: Vec<_> = (0..views.len()).step_by(CHUNK).collect();
    let batch = Batch {
        views: &views,
        scenes: &[],
        dialogues,
        descriptions: &[],
        dropout: None,
        memory: None,
    };
    let previews = chunks.into_par_iter().map(|start| {
        preview_batch(&Step {
            train_model: &train_model,
            run: config,
            batch: &batch.part(start, CHUNK),
            device,
        })
    });
    let previews: Vec<Vec<Preview>> = previews.collect::<Result<_, TrainError>>()?;
    Ok(previews.into_iter().flatten().collect())
}

fn preview_batch(step: &Step) -> Result<Vec<Preview>, TrainError> {
    let side = step.run.model.sam.mask_side();
    let (maps, logits) = stage_of(step.run).preview(step)?;
    let maps = rows(maps.into_data().iter::<f32>().collect(), side * side);
    let [_, n_cells, n_classes] = logits.dims();
    let logits = rows(
        logits.into_data().iter::<f32>().collect(),
        n_cells * n_classes,
    );
    let preview = |((view, map), logits): ((&&View, Vec<f32>), Vec<f32>)| {
        let targets = &view.targets;
        let of_cell: Vec<&[f32]> = logits.chunks(n_classes).collect();
        let predicted = |(kind, cells): (DefectKind, Vec<usize>)| {
            let sum = |kind: &DefectKind| -> f32 {
                let class = usize::from(class_of(*kind));
                cells.iter().map(|cell| of_cell[*cell][class]).sum()
            };
            let all = DefectKind::ALL.into_iter();
            let best = all.max_by(|a, b| sum(a).total_cmp(&sum(b)));
            (kind, best.unwrap_or(kind))
        };
        Preview {
            map,
            side,
            target: targets.mask(&[], side * side),
            kinds: cells_by_kind(&targets.patches, n_cells.isqrt())
                .into_iter()
                .map(predicted)
                .collect(),
            is_defective: !targets.masks.is_empty(),
        }
    };
    let views = step.batch.views.iter().zip(maps).zip(logits);
    Ok(views.map(preview).collect())
}

fn rows(values: Vec<f32>, width: usize) -> Vec<Vec<f32>> {
    values.chunks(width).map(<[f32]>::to_vec).collect()
}
