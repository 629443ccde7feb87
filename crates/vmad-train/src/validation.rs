//! How a run does on scenes that it does not learn from, while it runs.

use burn::module::Module;
use burn::tensor::Tensor;
use rayon::prelude::*;
use vmad_data::DefectKind;
use vmad_prep::RgbImage;

use crate::TrainError;
use crate::config::TrainConfig;
use crate::conversation::Dialogue;
use crate::samples::{View, look};
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
    /// The kinds of its defects; none for a good part.
    pub kinds: Vec<DefectKind>,
    /// The kind that the training heads see most of.
    pub seen: DefectKind,
}

impl HeldOut {
    /// Scene `index` of the run's worlds under another seed, at the difficulty of its last scenes, or
    /// a photograph that is held out.
    fn new(config: &TrainConfig, worlds: &Worlds, index: usize) -> Result<Self, TrainError> {
        let sample = worlds.scene(index, config.model.sam.image_size as u32)?;
        let view = look(&config.model, &sample, None);
        Ok(Self {
            image: sample.image,
            view,
        })
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
        let (maps, classes) = trainee.glance(config, &part, device)?;
        let maps = rows(maps.into_data().iter::<f32>().collect(), side * side);
        // Mean over patches, so that the sum over a defect decides: [n, 16]
        let sums: Tensor<2> = classes.mean_dim(1).squeeze_dim(1);
        let sums = rows(
            sums.into_data().iter::<f32>().collect(),
            1 + DefectKind::ALL.len(),
        );
        let glance = |((view, map), sums): ((&&View, Vec<f32>), Vec<f32>)| {
            let truth = &view.truth;
            let kinds = sums[1..].iter().zip(DefectKind::ALL);
            let seen = kinds.max_by(|a, b| a.0.total_cmp(b.0));
            Glance {
                map,
                side,
                truth: truth.mask(&[], side * side),
                kinds: truth.masks.iter().map(|(kind, _)| *kind).collect(),
                seen: seen.map_or(DefectKind::Scratch, |(_, kind)| kind),
            }
        };
        let views = part.views.iter().zip(maps).zip(sums);
        Ok(views.map(glance).collect::<Vec<_>>())
    });
    let glances: Vec<Vec<Glance>> = glances.collect::<Result<_, TrainError>>()?;
    Ok(glances.into_iter().flatten().collect())
}

fn rows(values: Vec<f32>, width: usize) -> Vec<Vec<f32>> {
    values.chunks(width).map(<[f32]>::to_vec).collect()
}
