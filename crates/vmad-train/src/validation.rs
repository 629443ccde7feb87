//! How a run does on scenes that it does not learn from, while it runs.

use burn::module::Module;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use vmad_data::DefectKind;
use vmad_prep::RgbImage;

use crate::TrainError;
use crate::config::TrainConfig;
use crate::conversation::Dialogue;
use crate::heads::cells_by_kind;
use crate::samples::{View, Window, look};
use crate::step::{Batch, Trainee};
use crate::worlds::{Use, Worlds};

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

/// What the model in training makes of a scene.
pub struct Glance {
    /// `[side, side]`, the probability of a defect in each cell of SAM's square.
    pub map: Vec<f32>,
    /// Side of the map.
    pub side: usize,
    /// The share of each cell that is defective, 0 to 255.
    pub truth: Vec<u8>,
    /// Each known kind among its defects, and the one that the training heads see there: off the cells
    /// that such defects cover, as [`crate::Part::Kind`] has it.
    pub kinds: Vec<(DefectKind, DefectKind)>,
    /// Whether there is any defect.
    pub is_defective: bool,
}

impl HeldOut {
    /// Scene `index` of the run's worlds under another seed, at the difficulty of its last scenes, or
    /// a photograph that is held out.
    fn new(config: &TrainConfig, worlds: &Worlds, index: usize) -> Result<Self, TrainError> {
        let sample = worlds.scene(index, config.scene_size())?;
        let cut = config.data.crop.map(|share| {
            let mut rng = ChaCha8Rng::seed_from_u64(index as u64);
            Window::around_a_defect(&sample, share, &mut rng)
        });
        let view = look(&config.model, &sample, cut, None);
        let image = match cut {
            Some(cut) => cut.of(&sample.image),
            None => sample.image,
        };
        Ok(Self { image, view })
    }

    /// The first `n` of a run.
    pub(crate) fn first(config: &TrainConfig, n: usize) -> Result<Vec<Self>, TrainError> {
        let mut config = config.clone();
        config.data.seed = Some(config.data_seed().wrapping_add(SEED_OFFSET));
        config.data.difficulty_start = config.data.difficulty_end;
        let worlds = Worlds::new(&config, Use::HeldOut)?;
        let scene = |index| Self::new(&config, &worlds, index);
        (0..n).into_par_iter().map(scene).collect()
    }
}

/// What `trainee` makes of held-out scenes. `dialogues` asks for the mask of each, where the stage
/// has words.
pub(crate) fn glance(
    trainee: &Trainee,
    config: &TrainConfig,
    scenes: &[HeldOut],
    dialogues: &[Dialogue],
    device: &burn::tensor::Device,
) -> Result<Vec<Glance>, TrainError> {
    let trainee = trainee.valid();
    let views: Vec<&View> = scenes.iter().map(|scene| &scene.view).collect();
    let side = config.model.sam.mask_side();
    let chunks: Vec<_> = (0..views.len()).step_by(CHUNK).collect();
    let batch = Batch {
        views: &views,
        scenes: &[],
        dialogues,
        descriptions: &[],
        dropout: None,
        memory: None,
    };
    let glances = chunks.into_par_iter().map(|start| {
        let part = batch.part(start, CHUNK);
        let (maps, logits) = trainee.glance(config, &part, device)?;
        let maps = rows(maps.into_data().iter::<f32>().collect(), side * side);
        let [_, n_cells, n_classes] = logits.dims();
        let logits = rows(
            logits.into_data().iter::<f32>().collect(),
            n_cells * n_classes,
        );
        let glance = |((view, map), logits): ((&&View, Vec<f32>), Vec<f32>)| {
            let truth = &view.truth;
            let of_cell: Vec<&[f32]> = logits.chunks(n_classes).collect();
            let named = |(kind, cells): (DefectKind, Vec<usize>)| {
                let sum = |k: &DefectKind| -> f32 {
                    cells.iter().map(|cell| of_cell[*cell][k.id() + 1]).sum()
                };
                let all = DefectKind::ALL.into_iter();
                let seen = all.max_by(|a, b| sum(a).total_cmp(&sum(b)));
                (kind, seen.unwrap_or(kind))
            };
            Glance {
                map,
                side,
                truth: truth.mask(&[], side * side),
                kinds: cells_by_kind(&truth.patches, n_cells.isqrt())
                    .into_iter()
                    .map(named)
                    .collect(),
                is_defective: !truth.masks.is_empty(),
            }
        };
        let views = part.views.iter().zip(maps).zip(logits);
        Ok(views.map(glance).collect::<Vec<_>>())
    });
    let glances: Vec<Vec<Glance>> = glances.collect::<Result<_, TrainError>>()?;
    Ok(glances.into_iter().flatten().collect())
}

fn rows(values: Vec<f32>, width: usize) -> Vec<Vec<f32>> {
    values.chunks(width).map(<[f32]>::to_vec).collect()
}
