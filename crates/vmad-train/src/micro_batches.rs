//! Micro-batches of a step, each in a thread of its own.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;

use crate::TrainError;
use crate::batch::Batch;
use crate::config::TrainConfig;
use crate::dssl::Observation;
use crate::loss_parts::Losses;
use crate::stage::{Step, StepOutput, stage_of};
use crate::train_model::TrainModel;

/// The result of a micro-batch.
pub struct MicroBatch {
    pub losses: Losses,
    pub gradients: GradientsParams,
    pub observations: Vec<Observation>,
}

/// Losses and gradients of each micro-batch, in their order, so that sums come out the same.
pub fn in_parallel(
    config: &TrainConfig,
    device: &Device,
    train_model: &TrainModel,
    batch: &Batch,
) -> Result<Vec<MicroBatch>, TrainError> {
    let n = (batch.views.len() / config.micro_batches).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..batch.views.len())
            .step_by(n)
            .map(|start| {
                // A graph of its own: threads would wait for each other in a shared one.
                let train_model = train_model.clone().fork(device);
                let part = batch.part(start, n);
                scope.spawn(move || micro_batch(config, device, &train_model, &part))
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
    train_model: &TrainModel,
    batch: &Batch,
) -> Result<MicroBatch, TrainError> {
    let StepOutput {
        parts,
        observations,
    } = stage_of(config).losses(&Step {
        train_model,
        run: config,
        batch,
        device,
    })?;
    let losses = parts.read(config)?;
    // A batch may have no loss (questions without masks, for example); then there is no gradient.
    let gradients = match parts.total(config) {
        Some(total) => {
            let gradients = (total / config.micro_batches as f64).backward();
            GradientsParams::from_grads(gradients, train_model)
        }
        None => GradientsParams::new(),
    };
    Ok(MicroBatch {
        losses,
        gradients,
        observations,
    })
}
