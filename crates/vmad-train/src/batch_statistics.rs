//! Running statistics of the stems' batch norms ("precise" batch norm): computed at a checkpoint from views
//! that no step has, so that steps keep no state which a resumed run could lose.

use burn::module::ParamId;
use burn::tensor::Device;

use crate::TrainError;
use crate::config::TrainConfig;
use crate::pool::Pool;
use crate::stage::frozen;
use crate::tensors::images;
use crate::train_model::TrainModel;
use crate::view::{ClipSource, SamSource};

/// Batches that the statistics are computed from.
const N_BATCHES: u64 = 4;

/// The model with new statistics in those batch norms that learn.
///
/// # Errors
/// A photograph that cannot be read.
pub fn with_batch_statistics(
    mut train_model: TrainModel,
    config: &TrainConfig,
    names: &[(String, ParamId)],
    pool: &Pool,
    device: &Device,
) -> Result<TrainModel, TrainError> {
    let ids = frozen(config).ids(names)?;
    let learns = |part: &str| {
        let mut of_stem = names.iter().filter(|(name, _)| {
            name.starts_with(part) && name.contains(".stem.") && name.contains(".norm.")
        });
        let has_statistics = of_stem
            .clone()
            .any(|(name, _)| name.ends_with(".running_mean"));
        has_statistics && of_stem.any(|(name, id)| name.ends_with(".weight") && !ids.contains(id))
    };
    let (clip_learns, sam_learns) = (learns("clip."), learns("sam."));
    if !clip_learns && !sam_learns {
        return Ok(train_model);
    }
    let (mut clip, mut sam) = (Vec::new(), Vec::new());
    for batch in 0..N_BATCHES {
        // Steps count from 0, so these are no step's.
        for view in pool.views(&pool.view_ids(u64::MAX - batch))? {
            if let ClipSource::Pixels { pixels, .. } = view.clip {
                clip.extend(pixels);
            }
            if let SamSource::Pixels(pixels) = view.sam {
                sam.extend(pixels);
            }
        }
    }
    let (model, sizes) = (&mut train_model.model, &config.model);
    if clip_learns {
        let pixels = images(clip, 3, sizes.clip.image_size, device);
        model.clip = model.clip.clone().with_batch_statistics(pixels);
    }
    if sam_learns {
        let pixels = images(sam, 3, sizes.sam.image_size, device);
        model.sam_encoder = model.sam_encoder.clone().with_batch_statistics(pixels);
    }
    Ok(train_model)
}
