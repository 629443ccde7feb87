//! Micro-batches of a step, each in a thread of its own.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;

use crate::TrainError;
use crate::config::TrainConfig;
use crate::dssl::Observation;
use crate::losses::Losses;
use crate::step::{Batch, Found, Trainee};

/// What a micro-batch gave.
pub struct MicroBatch {
    pub losses: Losses,
    pub gradients: GradientsParams,
    pub observations: Vec<Observation>,
}

/// Losses and gradients of each micro-batch, in their order, so that sums come out the same.
pub fn side_by_side(
    config: &TrainConfig,
    device: &Device,
    trainee: &Trainee,
    batch: &Batch,
) -> Result<Vec<MicroBatch>, TrainError> {
    let n = (batch.views.len() / config.micro_batches).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..batch.views.len())
            .step_by(n)
            .map(|start| {
                // A graph of its own: threads would wait for each other in a shared one.
                let trainee = trainee.clone().fork(device);
                let part = batch.part(start, n);
                scope.spawn(move || micro_batch(config, device, &trainee, &part))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}

fn micro_batch(
    config: &TrainConfig,
    device: &Device,
    trainee: &Trainee,
    batch: &Batch,
) -> Result<MicroBatch, TrainError> {
    let Found {
        parts,
        observations,
    } = trainee.losses(config, batch, device)?;
    let losses = parts.read(config)?;
    // Where nothing counts (a batch of questions without masks, say) there is no gradient.
    let gradients = match parts.total(config) {
        Some(total) => {
            let gradients = (total / config.micro_batches as f64).backward();
            GradientsParams::from_grads(gradients, trainee)
        }
        None => GradientsParams::new(),
    };
    Ok(MicroBatch {
        losses,
        gradients,
        observations,
    })
}
