//! Opening a package: manifest, tokenizer, weights one shard at a time, model.

use std::collections::HashSet;

use burn::tensor::{Device, Tensor, TensorData as BurnData};
use vmad_kernels::QuantWeight;
use vmad_model::{DeviceWeights, LoadedWeight, ModelError, Vmad, VmadConfig};
use vmad_package::{
    FileEntry, Joiner, MANIFEST_FILE, MAX_MANIFEST_BYTES, Manifest, ShardReader, ShardTensor,
    TensorData,
};
use vmad_prep::Tokenizer;

use crate::loaded_model::{LoadStats, LoadedModel};
use crate::lookahead::n_lookahead;
use crate::readback::read;
use crate::tensor_check::needed_tensors;
use crate::{
    ByteSource, CancelToken, EngineError, Host, Progress, SelectedDevice, SourceError, Stage,
};

/// Opens a package. Checks everything in `model.json` before it reads a shard.
///
/// # Errors
/// As [`crate::Engine::open`].
pub(crate) async fn open(
    source: &dyn ByteSource,
    device: SelectedDevice,
    host: &dyn Host,
    progress: &mut dyn FnMut(Progress),
    cancel: &CancelToken,
) -> Result<LoadedModel, EngineError> {
    let mut opening = Opening {
        source,
        host,
        progress,
        cancel,
        since_ms: host.now_ms(),
        total_bytes: 0,
        done_bytes: 0,
        stats: LoadStats::default(),
    };
    let (manifest, config) = opening.read_manifest().await?;
    let needed = needed_tensors(&config, &manifest, device.max_buffer_bytes)?;
    opening.end(Stage::Manifest).await?;

    let tokenizer = opening.read_tokenizer(&manifest, &config).await?;
    opening.end(Stage::Tokenizer).await?;

    let mut weights = opening
        .read_weights(&manifest, &needed, &device.device)
        .await?;
    opening.end(Stage::Weights).await?;

    opening.announce(Stage::Building, 0, 1);
    let (model, _) = Vmad::new(&config, &mut weights)?;
    opening.end(Stage::Building).await?;
    opening.announce(Stage::Building, 1, 1);

    Ok(LoadedModel {
        model,
        config,
        manifest,
        tokenizer,
        n_lookahead: n_lookahead(&device.kind),
        device,
        stats: opening.stats,
    })
}

/// The state of [`open`] between its stages.
struct Opening<'a> {
    source: &'a dyn ByteSource,
    host: &'a dyn Host,
    progress: &'a mut dyn FnMut(Progress),
    cancel: &'a CancelToken,
    since_ms: f64,
    /// Bytes of all files but the manifest.
    total_bytes: u64,
    /// Bytes of the files that are read.
    done_bytes: u64,
    stats: LoadStats,
}

impl Opening<'_> {
    async fn read_manifest(&mut self) -> Result<(Manifest, VmadConfig), EngineError> {
        self.announce(Stage::Manifest, 0, 1);
        let json = self
            .source
            .read(MANIFEST_FILE, MAX_MANIFEST_BYTES as u64, &mut |_| ())
            .await?;
        let manifest = Manifest::parse(&json)?;
        let config = serde_json::from_value(manifest.meta.config.clone())
            .map_err(EngineError::ConfigJson)?;
        self.total_bytes = manifest.total_bytes();
        Ok((manifest, config))
    }

    async fn read_tokenizer(
        &mut self,
        manifest: &Manifest,
        config: &VmadConfig,
    ) -> Result<Tokenizer, EngineError> {
        let file = manifest.tokenizer();
        let json = self.read_file(Stage::Tokenizer, file).await?;
        file.verify(&json)?;
        let tokenizer = Tokenizer::from_json(&json)?;
        if tokenizer.vocab_size() > config.llm.vocab_size {
            return Err(EngineError::Vocabulary {
                tokenizer: tokenizer.vocab_size(),
                model: config.llm.vocab_size,
            });
        }
        self.done_bytes += file.bytes;
        Ok(tokenizer)
    }

    /// Reads, checks and uploads one shard after the other, so that host memory holds one at a time.
    async fn read_weights(
        &mut self,
        manifest: &Manifest,
        needed: &HashSet<String>,
        device: &Device,
    ) -> Result<DeviceWeights, EngineError> {
        let mut weights = DeviceWeights::default();
        let mut upload = Upload { device, bytes: 0 };
        let mut joiner = Joiner::default();
        for (index, file) in manifest.shards().iter().enumerate() {
            let bytes = self.read_file(Stage::Weights, file).await?;
            let shard_bytes = bytes.len() as u64;
            self.stats.peak_shard_bytes = self.stats.peak_shard_bytes.max(shard_bytes);
            for part in ShardReader::verify_and_parse(manifest, index, &bytes)? {
                let joined = joiner.push(part)?;
                let Some(tensor) = joined.filter(|tensor| needed.contains(&tensor.name)) else {
                    continue;
                };
                let name = tensor.name.clone();
                weights.insert(name, upload.tensor(tensor)?);
            }
            drop(bytes);
            // A backend may queue uploads; the buffers in its queue must not accumulate.
            read(Stage::Weights, Tensor::<1>::zeros([1], device)).await?;
            self.done_bytes += file.bytes;
            self.announce(Stage::Weights, self.done_bytes, self.total_bytes);
            self.host.yield_now().await;
            self.cancel.check()?;
        }
        joiner.finish()?;
        self.stats.weights_bytes = upload.bytes;
        Ok(weights)
    }

    /// Reads a file and reports the bytes that have come.
    async fn read_file(&mut self, stage: Stage, file: &FileEntry) -> Result<Vec<u8>, SourceError> {
        let (progress, done, total) = (&mut self.progress, self.done_bytes, self.total_bytes);
        let mut on_bytes = |bytes| {
            progress(Progress {
                stage,
                done: done + bytes,
                total,
            });
        };
        self.source
            .read(&file.file, file.bytes, &mut on_bytes)
            .await
    }

    fn announce(&mut self, stage: Stage, done: u64, total: u64) {
        (self.progress)(Progress { stage, done, total });
    }

    /// Records how long a stage took, and yields to the host.
    async fn end(&mut self, stage: Stage) -> Result<(), EngineError> {
        let now_ms = self.host.now_ms();
        self.stats.timings.push((stage, now_ms - self.since_ms));
        self.since_ms = now_ms;
        self.host.yield_now().await;
        self.cancel.check()
    }
}

/// Uploads tensors and counts their bytes.
struct Upload<'d> {
    device: &'d Device,
    bytes: u64,
}

impl Upload<'_> {
    /// Puts a tensor on the device: floating point as f32, quantised tensors packed.
    fn tensor(&mut self, tensor: ShardTensor<'_>) -> Result<LoadedWeight, EngineError> {
        let (rows, cols) = (tensor.n_rows(), tensor.n_cols());
        let device = self.device;
        let quant = |result: Result<QuantWeight, vmad_kernels::KernelError>| {
            result.map_err(|error| EngineError::from(ModelError::from(error)))
        };
        let values = match tensor.data {
            TensorData::F32(values) => values.into_owned(),
            TensorData::F16(values) => values.iter().map(|value| value.to_f32()).collect(),
            TensorData::Int8 { q, scales } => {
                let weight = quant(QuantWeight::from_q8(rows, cols, &q, &scales, device))?;
                self.bytes += weight.bytes() as u64;
                return Ok(LoadedWeight::Quant(weight));
            }
            TensorData::Int4 { words, scales } => {
                let weight = quant(QuantWeight::from_q4(rows, cols, &words, &scales, device))?;
                self.bytes += weight.bytes() as u64;
                return Ok(LoadedWeight::Quant(weight));
            }
        };
        let n_values = values.len();
        self.bytes += (n_values * size_of::<f32>()) as u64;
        let flat = Tensor::from_data(BurnData::new(values, [n_values]), device);
        Ok(LoadedWeight::Dense(flat, tensor.shape))
    }
}
