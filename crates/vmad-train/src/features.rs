//! Features of frozen encoders: computed once for each view, kept in memory and on disk.
//!
//! A folder of features belongs to one set of encoder weights, data and preparation; its name is
//! their hash, so runs that share these share the features, and no others can be taken for them.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::module::ParamId;
use burn::tensor::{Device, Tensor};
use half::f16;
use rayon::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vmad_data::DefectKind;

use crate::TrainError;
use crate::checkpoint::RunFolder;
use crate::config::TrainConfig;
use crate::dssl::PatchBox;
use crate::export::weights_hash;
use crate::pool::{Pool, ViewId};
use crate::scene_text::SceneText;
use crate::stage::frozen;
use crate::targets::Targets;
use crate::train_model::TrainModel;
use crate::view::{ClipSource, SamSource, View};

/// The encoders that are frozen whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FrozenEncoders {
    clip: bool,
    sam: bool,
}

/// The encoders that compute features.
pub struct Encoders {
    /// The model, without gradients.
    pub train_model: TrainModel,
    /// Where they are.
    pub device: Device,
}

/// The features of a run.
pub struct FeatureStore {
    folder: PathBuf,
    frozen: FrozenEncoders,
    views: HashMap<ViewId, Arc<View>>,
}

/// Width and height of a photograph in pixels. Old files have its frame in SAM's square.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(untagged)]
enum PhotoSize {
    Size((u32, u32)),
    Frame { original: (u32, u32) },
}

impl PhotoSize {
    fn get(self) -> (u32, u32) {
        match self {
            Self::Size(size) | Self::Frame { original: size } => size,
        }
    }
}

/// A view without its tensors.
#[derive(Serialize, Deserialize)]
struct Head {
    /// The key of old files is `frame`.
    #[serde(alias = "frame")]
    photo_size: PhotoSize,
    object: usize,
    /// The key of old files is `placed`.
    #[serde(alias = "placed")]
    has_true_places: bool,
    /// The key of old files is `told`.
    #[serde(alias = "told")]
    text: SceneText,
    kinds: Vec<DefectKind>,
    boxes: Vec<[u32; 4]>,
}

impl FeatureStore {
    /// The store of a run; `None` where no encoder is frozen whole, or each view is a new one.
    ///
    /// # Errors
    /// A pattern of `freeze` that matches no parameter.
    pub fn of_run(
        config: &TrainConfig,
        folder: &RunFolder,
        names: &[(String, ParamId)],
        train_model: &TrainModel,
    ) -> Result<Option<Self>, TrainError> {
        let ids = frozen(config).ids(names)?;
        let is_frozen = |part: &str| {
            let mut of_part = names.iter().filter(|(name, _)| name.starts_with(part));
            of_part.all(|(_, id)| ids.contains(id))
        };
        let encoders = FrozenEncoders {
            clip: is_frozen("clip."),
            sam: is_frozen("sam.image_encoder."),
        };
        if config.data.views_per_scene == 0 || !(encoders.clip || encoders.sam) {
            return Ok(None);
        }
        let weights = weights_hash(&train_model.model, names, |name| {
            name.starts_with("clip.") || name.starts_with("sam.image_encoder.")
        });
        let parent = match &config.features {
            Some(folder) => folder.clone(),
            None => folder.path("features"),
        };
        Ok(Some(Self::new(config, &parent, encoders, &weights)))
    }

    /// The store of encoders that hold `weights` (their hash).
    fn new(config: &TrainConfig, parent: &Path, frozen: FrozenEncoders, weights: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(weights);
        let model = &config.model;
        let n_boxes = config.ablation.dssl.as_ref().map(|dssl| dssl.n_boxes);
        let identity = (
            (&model.clip, &model.sam, model.clip_mode),
            (&config.data, config.data_seed()),
            (n_boxes, frozen.clip, frozen.sam),
        );
        // A configuration that was read from TOML can be written as JSON.
        hash.update(serde_json::to_vec(&identity).unwrap_or_default());
        let name: String = hash.finalize()[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            folder: parent.join(name),
            frozen,
            views: HashMap::new(),
        }
    }

    /// Views with the features of the frozen encoders.
    ///
    /// # Errors
    /// The file system's, a damaged file, or the device's.
    pub fn views(
        &mut self,
        ids: &[ViewId],
        pool: &Pool,
        encoders: &Encoders,
        config: &TrainConfig,
    ) -> Result<Vec<Arc<View>>, TrainError> {
        let mut missing: Vec<ViewId> = Vec::new();
        for id in ids {
            if self.views.contains_key(id) || missing.contains(id) {
                continue;
            }
            match self.read(*id, config)? {
                Some(view) => {
                    self.views.insert(*id, Arc::new(view));
                }
                None => missing.push(*id),
            }
        }
        if !missing.is_empty() {
            let new = missing.par_iter().map(|id| {
                let view = self.freeze(pool.view(*id)?, encoders, config)?;
                self.write(*id, &view, config)?;
                Ok((*id, Arc::new(view)))
            });
            let new: Vec<_> = new.collect::<Result<_, TrainError>>()?;
            self.views.extend(new);
        }
        Ok(ids
            .iter()
            .filter_map(|id| self.views.get(id).cloned())
            .collect())
    }

    /// Runs the frozen encoders over one view.
    fn freeze(
        &self,
        mut view: View,
        Encoders {
            train_model,
            device,
        }: &Encoders,
        config: &TrainConfig,
    ) -> Result<View, TrainError> {
        let model = &config.model;
        if self.frozen.clip {
            let taps = |side: &ClipSource| -> Result<ClipSource, TrainError> {
                let taps = train_model.clip_taps(model, &[side], device);
                let taps = taps.into_iter().map(halves).collect::<Result<_, _>>()?;
                Ok(ClipSource::Taps(taps))
            };
            view.clip = taps(&view.clip)?;
            for (_, side) in &mut view.crops {
                *side = taps(side)?;
            }
        }
        if self.frozen.sam {
            let image = train_model.sam_embedding(model, &[&view], device);
            view.sam = SamSource::Embedding(halves(image)?);
        }
        // As it is kept, so that it is the same when it is read again.
        for value in &mut view.sam_prior {
            *value = f16::from_f32(*value).to_f32();
        }
        Ok(view)
    }

    fn path(&self, id: ViewId) -> PathBuf {
        file_of(&self.folder, id)
    }

    /// A function, for any thread, that returns whether all `n_variants` views of a scene lie on disk.
    pub fn kept(&self, n_variants: u64) -> impl Fn(usize) -> bool + Send + 'static {
        let folder = self.folder.clone();
        move |scene| {
            (0..n_variants).all(|variant| file_of(&folder, ViewId { scene, variant }).exists())
        }
    }

    /// Keeps a view. Pixels of an encoder that learns are not kept: they are made anew.
    fn write(&self, id: ViewId, view: &View, config: &TrainConfig) -> Result<(), TrainError> {
        // Without the features of both encoders a file saves nothing: the pixels come from the scene.
        let (ClipSource::Taps(taps), SamSource::Embedding(embedding)) = (&view.clip, &view.sam)
        else {
            return Ok(());
        };
        let io = |source| TrainError::Io {
            path: self.path(id),
            source,
        };
        let mut tensors = Tensors::default();
        let clip = [config.model.clip.grid().pow(2), config.model.clip.d_model];
        for (i, tap) in taps.iter().enumerate() {
            tensors.halves(format!("clip.{i}"), &clip, tap);
        }
        for (k, (_, side)) in view.crops.iter().enumerate() {
            if let ClipSource::Taps(taps) = side {
                for (i, tap) in taps.iter().enumerate() {
                    tensors.halves(format!("crop.{k}.{i}"), &clip, tap);
                }
            }
        }
        let grid = config.model.sam.grid();
        tensors.halves(
            "sam".to_owned(),
            &[config.model.sam.d_out, grid, grid],
            embedding,
        );
        let prior: Vec<f16> = view.sam_prior.iter().map(|v| f16::from_f32(*v)).collect();
        tensors.halves("prior".to_owned(), &[prior.len()], &prior);
        tensors.bytes("patches".to_owned(), view.targets.patches.clone());
        tensors.bytes("cells".to_owned(), view.targets.cells.clone());
        for (i, (_, mask)) in view.targets.masks.iter().enumerate() {
            tensors.bytes(format!("mask.{i}"), mask.clone());
        }
        let head = Head {
            photo_size: PhotoSize::Size(view.frame.photo_size),
            object: view.targets.object,
            has_true_places: view.targets.has_true_places,
            text: view.targets.text.clone(),
            kinds: view.targets.masks.iter().map(|(kind, _)| *kind).collect(),
            boxes: view
                .crops
                .iter()
                .map(|(b, _)| [b.x, b.y, b.width, b.height])
                .collect(),
        };
        let head = serde_json::to_string(&head).map_err(|error| io(error.into()))?;
        let bytes = tensors.serialize(HashMap::from([("view".to_owned(), head)]));
        let bytes = bytes.map_err(|error| io(std::io::Error::other(error)))?;
        std::fs::create_dir_all(&self.folder).map_err(io)?;
        vmad_data::write_whole(&self.path(id), &bytes).map_err(io)
    }

    /// A view that was kept; `None` where there is none.
    fn read(&self, id: ViewId, config: &TrainConfig) -> Result<Option<View>, TrainError> {
        let path = self.path(id);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(TrainError::Io { path, source }),
        };
        let damaged = |message: String| TrainError::Features {
            path: path.clone(),
            message,
        };
        let fail = |error: safetensors::SafeTensorError| damaged(error.to_string());
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(fail)?;
        let head = metadata.metadata().as_ref().and_then(|m| m.get("view"));
        let head = head.ok_or_else(|| damaged("its metadata has no view".to_owned()))?;
        let head: Head = serde_json::from_str(head).map_err(|e| damaged(e.to_string()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(fail)?;
        let data = |name: &str| file.tensor(name).map(|t| t.data().to_vec()).map_err(fail);
        let halves = |name: &str| -> Result<Vec<f16>, TrainError> {
            let bytes = data(name)?;
            let pairs = bytes.chunks_exact(2);
            Ok(pairs
                .map(|pair| f16::from_le_bytes([pair[0], pair[1]]))
                .collect())
        };
        let taps = |prefix: &str| -> Result<ClipSource, TrainError> {
            let taps = (0..config.model.clip.taps.len()).map(|i| halves(&format!("{prefix}.{i}")));
            Ok(ClipSource::Taps(taps.collect::<Result<_, _>>()?))
        };
        let mut crops = Vec::new();
        for (k, [x, y, width, height]) in head.boxes.into_iter().enumerate() {
            let patch = PatchBox {
                x,
                y,
                width,
                height,
            };
            crops.push((patch, taps(&format!("crop.{k}"))?));
        }
        let mut masks = Vec::new();
        for (i, kind) in head.kinds.into_iter().enumerate() {
            masks.push((kind, data(&format!("mask.{i}"))?));
        }
        Ok(Some(View {
            clip: taps("clip")?,
            sam: SamSource::Embedding(halves("sam")?),
            sam_prior: halves("prior")?.into_iter().map(f16::to_f32).collect(),
            frame: config.model.photo_frame(head.photo_size.get()),
            crops,
            targets: Targets {
                masks,
                patches: data("patches")?,
                cells: data("cells")?,
                object: head.object,
                has_true_places: head.has_true_places,
                text: head.text,
            },
        }))
    }
}

fn file_of(folder: &Path, id: ViewId) -> PathBuf {
    folder.join(format!("{}-{}.safetensors", id.scene, id.variant))
}

/// Tensors of a file with their bytes.
#[derive(Default)]
struct Tensors(BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>);

impl Tensors {
    fn halves(&mut self, name: String, shape: &[usize], values: &[f16]) {
        let bytes = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.0.insert(name, (Dtype::F16, shape.to_vec(), bytes));
    }

    fn bytes(&mut self, name: String, bytes: Vec<u8>) {
        self.0.insert(name, (Dtype::U8, vec![bytes.len()], bytes));
    }

    fn serialize(
        &self,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<u8>, safetensors::SafeTensorError> {
        let views = self
            .0
            .iter()
            .map(|(name, (dtype, shape, bytes))| {
                Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?))
            })
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
        serialize(views, Some(metadata))
    }
}

fn halves<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f16>, TrainError> {
    let data = tensor.try_into_data();
    let data = data.map_err(|error| TrainError::Readback(format!("{error:?}")))?;
    Ok(data.iter::<f32>().map(f16::from_f32).collect())
}
