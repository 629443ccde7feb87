//! From the files of a package to a model on a device, one shard at a time.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use burn::tensor::{Device, Tensor, TensorData as BurnData};
use vmad_kernels::{DeviceKind, QuantWeight, cpu_device};
use vmad_model::{DeviceWeights, Init, LoadedWeight, ModelError, Vmad, VmadConfig, WeightSource};
use vmad_package::{
    Conversation, Joiner, MANIFEST_FILE, MAX_MANIFEST_BYTES, Manifest, ShardReader, ShardTensor,
    Storage, Templates, TensorData, TensorEntry,
};
use vmad_prep::{ReferenceBank, Tokenizer};

use crate::pace::read;
use crate::session::Session;
use crate::speech::Brain;
use crate::{
    ByteSource, CancelToken, Chosen, EngineError, Host, Memory, Progress, Report, Stage, Trace,
};

/// A model on a device, and the conversation about one photograph.
pub struct Engine {
    pub(crate) model: Vmad,
    pub(crate) config: VmadConfig,
    pub(crate) manifest: Manifest,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) conversation: Conversation,
    pub(crate) templates: Templates,
    pub(crate) chosen: Chosen,
    /// Steps that an answer launches beyond the token that is waited for.
    pub(crate) ahead: usize,
    pub(crate) host: Rc<dyn Host>,
    pub(crate) session: Option<Session>,
    pub(crate) trace: Option<Trace>,
    pub(crate) timings: Vec<(Stage, f64)>,
    pub(crate) references: Option<ReferenceBank>,
    pub(crate) n_references: usize,
    loading: Vec<(Stage, f64)>,
    weights_bytes: u64,
    peak_shard_bytes: u64,
}

impl Engine {
    /// Opens a package. Everything that `model.json` says is checked before a shard is read; shards
    /// are read one after the other, and each goes to the device before the next one comes.
    ///
    /// # Errors
    /// What is wrong with the package, naming file and tensor; [`EngineError::Cancelled`].
    pub async fn open(
        source: &dyn ByteSource,
        chosen: Chosen,
        host: Rc<dyn Host>,
        progress: &mut dyn FnMut(Progress),
        cancel: &CancelToken,
    ) -> Result<Self, EngineError> {
        let mut loading = Loading {
            times: Vec::new(),
            since_ms: host.now_ms(),
            host: host.as_ref(),
            cancel,
        };
        progress(Progress {
            stage: Stage::Manifest,
            done: 0,
            total: 1,
        });
        let json = source
            .read(MANIFEST_FILE, MAX_MANIFEST_BYTES as u64, &mut |_| ())
            .await?;
        let manifest = Manifest::parse(&json)?;
        let config: VmadConfig = serde_json::from_value(manifest.meta.config.clone())
            .map_err(EngineError::ConfigJson)?;
        let wanted = check_tensors(&config, &manifest, chosen.max_buffer_bytes)?;
        loading.end(Stage::Manifest).await?;

        let mut done = 0;
        let total = manifest.total_bytes();
        let file = manifest.tokenizer();
        let json = source
            .read(&file.file, file.bytes, &mut |bytes| {
                progress(Progress {
                    stage: Stage::Tokenizer,
                    done: bytes,
                    total,
                });
            })
            .await?;
        file.verify(&json)?;
        let tokenizer = Tokenizer::from_json(&json)?;
        if tokenizer.vocab_size() > config.llm.vocab_size {
            return Err(EngineError::Vocabulary {
                tokenizer: tokenizer.vocab_size(),
                model: config.llm.vocab_size,
            });
        }
        done += file.bytes;
        loading.end(Stage::Tokenizer).await?;

        let mut weights = DeviceWeights::default();
        let mut uploads = Uploads {
            device: &chosen.device,
            bytes: 0,
        };
        let mut joiner = Joiner::default();
        let mut peak_shard_bytes = 0;
        for (index, file) in manifest.shards().iter().enumerate() {
            let bytes = source
                .read(&file.file, file.bytes, &mut |bytes| {
                    progress(Progress {
                        stage: Stage::Weights,
                        done: done + bytes,
                        total,
                    });
                })
                .await?;
            peak_shard_bytes = peak_shard_bytes.max(bytes.len() as u64);
            for piece in ShardReader::verify_and_parse(&manifest, index, &bytes)? {
                let whole = joiner.push(piece)?;
                let Some(tensor) = whole.filter(|tensor| wanted.contains(&tensor.name)) else {
                    continue;
                };
                let name = tensor.name.clone();
                weights.insert(name, uploads.upload(tensor)?);
            }
            drop(bytes);
            // Uploads may be queued; what they hold must not pile up.
            read(Stage::Weights, Tensor::<1>::zeros([1], &chosen.device)).await?;
            done += file.bytes;
            progress(Progress {
                stage: Stage::Weights,
                done,
                total,
            });
            host.yield_now().await;
            cancel.check()?;
        }
        joiner.finish()?;
        let weights_bytes = uploads.bytes;
        loading.end(Stage::Weights).await?;

        progress(Progress {
            stage: Stage::Building,
            done: 0,
            total: 1,
        });
        let (model, _) = Vmad::new(&config, &mut weights)?;
        loading.end(Stage::Building).await?;
        progress(Progress {
            stage: Stage::Building,
            done: 1,
            total: 1,
        });
        Ok(Self {
            conversation: manifest.meta.conversation.clone(),
            templates: manifest.meta.templates.clone(),
            loading: loading.times,
            model,
            config,
            manifest,
            tokenizer,
            ahead: crate::ahead::depth(&chosen.kind),
            chosen,
            host,
            weights_bytes,
            peak_shard_bytes,
            session: None,
            trace: None,
            timings: Vec::new(),
            references: None,
            n_references: 0,
        })
    }

    /// What the package says about itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The sizes of the model.
    #[must_use]
    pub fn config(&self) -> &VmadConfig {
        &self.config
    }

    /// The model itself, for timings of its parts.
    #[must_use]
    pub fn model(&self) -> &Vmad {
        &self.model
    }

    /// The device that computes, and why it is that one.
    #[must_use]
    pub fn device(&self) -> &Chosen {
        &self.chosen
    }

    /// Whether there is a photograph to ask about.
    #[must_use]
    pub fn has_image(&self) -> bool {
        self.session.is_some()
    }

    /// Makes the next inspections write down their intermediate tensors, which costs time and
    /// memory; each starts afresh.
    pub fn start_trace(&mut self) {
        self.trace = Some(Trace::default());
    }

    /// The tensors of the last inspection, and the end of tracing.
    pub fn take_trace(&mut self) -> Option<Trace> {
        self.trace.take()
    }

    /// Memory and times.
    #[must_use]
    pub fn report(&self) -> Report {
        let (kv_cache_bytes, features_bytes) = self.session.as_ref().map_or((0, 0), Session::bytes);
        Report {
            device: self.device_name(),
            loading: self.loading.clone(),
            timings: self.timings.clone(),
            memory: Memory {
                weights_bytes: self.weights_bytes,
                peak_shard_bytes: self.peak_shard_bytes,
                kv_cache_bytes,
                features_bytes,
            },
        }
    }

    pub(crate) fn device_name(&self) -> String {
        let kind: &DeviceKind = &self.chosen.kind;
        kind.to_string()
    }

    pub(crate) fn brain(&self) -> Brain<'_> {
        Brain {
            model: &self.model,
            config: &self.config,
            tokenizer: &self.tokenizer,
            conversation: &self.conversation,
            templates: &self.templates,
            device: &self.chosen.device,
            ahead: self.ahead,
        }
    }

    /// The model and the conversation at the same time.
    pub(crate) fn brain_and_session(&mut self) -> Result<(Brain<'_>, &mut Session), EngineError> {
        let brain = Brain {
            model: &self.model,
            config: &self.config,
            tokenizer: &self.tokenizer,
            conversation: &self.conversation,
            templates: &self.templates,
            device: &self.chosen.device,
            ahead: self.ahead,
        };
        let session = self.session.as_mut().ok_or(EngineError::NoImage)?;
        Ok((brain, session))
    }
}

/// Times of the loading stages, and the pause after each.
struct Loading<'a> {
    times: Vec<(Stage, f64)>,
    since_ms: f64,
    host: &'a dyn Host,
    cancel: &'a CancelToken,
}

impl Loading<'_> {
    async fn end(&mut self, stage: Stage) -> Result<(), EngineError> {
        let now_ms = self.host.now_ms();
        self.times.push((stage, now_ms - self.since_ms));
        self.since_ms = now_ms;
        self.host.yield_now().await;
        self.cancel.check()
    }
}

/// The tensors that the configuration asks for, all of which the manifest lists in that shape and
/// small enough for the device.
fn check_tensors(
    config: &VmadConfig,
    manifest: &Manifest,
    max_buffer_bytes: Option<u64>,
) -> Result<HashSet<String>, EngineError> {
    let mut expected = Expected {
        listed: manifest
            .tensors()
            .iter()
            .map(|entry| (entry.name.as_str(), entry))
            .collect(),
        wanted: HashSet::new(),
        zeros: Tensor::zeros([1], &cpu_device()),
    };
    Vmad::new(config, &mut expected)?;
    let Expected { listed, wanted, .. } = expected;
    if let Some(limit) = max_buffer_bytes {
        for entry in listed.values().filter(|entry| wanted.contains(&entry.name)) {
            let bytes = buffer_bytes(entry);
            if bytes > limit {
                return Err(EngineError::TensorTooLarge {
                    name: entry.name.clone(),
                    bytes,
                    limit,
                });
            }
        }
    }
    Ok(wanted)
}

/// Bytes of a tensor's largest buffer on the device, where f16 becomes f32. Padding of the last
/// block of a row is counted in full.
fn buffer_bytes(entry: &TensorEntry) -> u64 {
    let rows = entry.shape.first().copied().unwrap_or(1) as u64;
    let cols: u64 = entry.shape.iter().skip(1).map(|dim| *dim as u64).product();
    let padded = cols.next_multiple_of(32);
    match entry.storage {
        Storage::F32 | Storage::F16 => rows * cols * 4,
        Storage::Int8 => rows * padded,
        Storage::Int4 => rows * padded / 2,
    }
}

/// Hands out views of one run of zeros while comparing what the model asks for with what the
/// manifest lists, so that a check costs no more memory than the largest tensor.
struct Expected<'m> {
    listed: HashMap<&'m str, &'m TensorEntry>,
    wanted: HashSet<String>,
    zeros: Tensor<1>,
}

impl WeightSource for Expected<'_> {
    fn take(
        &mut self,
        name: &str,
        shape: &[usize],
        _init: Init,
    ) -> Result<LoadedWeight, ModelError> {
        let entry = self.listed.get(name).ok_or_else(|| ModelError::Missing {
            name: name.to_owned(),
            expected: shape.to_vec(),
        })?;
        if entry.shape != shape {
            return Err(ModelError::Shape {
                name: name.to_owned(),
                expected: shape.to_vec(),
                actual: entry.shape.clone(),
            });
        }
        self.wanted.insert(name.to_owned());
        let len: usize = shape.iter().product();
        let [held] = self.zeros.dims();
        if held < len {
            self.zeros = Tensor::zeros([len], &cpu_device());
        }
        let view = self.zeros.clone().narrow(0, 0, len);
        Ok(LoadedWeight::Dense(view, shape.to_vec()))
    }
}

struct Uploads<'d> {
    device: &'d Device,
    bytes: u64,
}

impl Uploads<'_> {
    /// Floating point becomes f32, quantised tensors stay packed.
    fn upload(&mut self, tensor: ShardTensor<'_>) -> Result<LoadedWeight, EngineError> {
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
