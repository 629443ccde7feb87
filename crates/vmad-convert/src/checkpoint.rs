//! Reads safetensors checkpoints, one file or a sharded set, a tensor at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use crate::error::ConvertError;

/// A tensor read from a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its name in the checkpoint.
    pub name: String,
    /// Its dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Its values in row-major order, widened to f32.
    pub values: Vec<f32>,
}

struct Shard {
    path: PathBuf,
    /// Where the tensors' bytes begin in the file.
    data_start: u64,
    metadata: Metadata,
}

/// An opened checkpoint: headers are read and checked, values stay on disk until asked for.
pub struct Checkpoint {
    shards: Vec<Shard>,
    /// Shard of each tensor.
    shard_of: BTreeMap<String, usize>,
}

/// A header longer than this is refused, as the safetensors library does.
const MAX_HEADER_BYTES: u64 = 100_000_000;

impl Checkpoint {
    /// Opens a `.safetensors` file, a `*.index.json` beside its shards, or a folder that holds
    /// one of them.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ConvertError> {
        let path = path.as_ref();
        let file = if path.is_dir() {
            find_in_folder(path)?
        } else {
            path.to_path_buf()
        };
        match Kind::of(&file) {
            Kind::Safetensors => Self::from_shards(vec![Shard::open(&file)?]),
            Kind::Index => Self::open_sharded(&file),
            Kind::Pickle => Err(ConvertError::Pickle(file)),
            // A path that does not exist gets the system's message, not a guess about its name.
            Kind::Other => match std::fs::metadata(&file) {
                Ok(_) => Err(ConvertError::UnknownFile(file)),
                Err(source) => Err(ConvertError::Io { path: file, source }),
            },
        }
    }

    fn open_sharded(index: &Path) -> Result<Self, ConvertError> {
        #[derive(serde::Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let bad = |reason: String| ConvertError::BadIndex {
            path: index.into(),
            reason,
        };
        let text = std::fs::read(index).map_err(io(index))?;
        let Index { weight_map } =
            serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
        if weight_map.is_empty() {
            return Err(bad("its weight_map is empty".into()));
        }
        let folder = index.parent().unwrap_or(Path::new(""));
        let mut number_of = BTreeMap::<&str, usize>::new();
        let mut shards = Vec::new();
        let mut shard_of = BTreeMap::new();
        for (tensor, file) in &weight_map {
            let number = match number_of.get(file.as_str()) {
                Some(&number) => number,
                None => {
                    // An index is data from elsewhere: it must not reach out of its folder.
                    if Path::new(file).file_name() != Some(file.as_ref()) {
                        return Err(bad(format!("{file:?} is not a plain file name")));
                    }
                    let path = folder.join(file);
                    match Kind::of(&path) {
                        Kind::Safetensors => shards.push(Shard::open(&path)?),
                        Kind::Pickle => return Err(ConvertError::Pickle(path)),
                        _ => return Err(ConvertError::UnknownFile(path)),
                    }
                    number_of.insert(file, shards.len() - 1);
                    shards.len() - 1
                }
            };
            if let Some(shard) = shards.get(number)
                && shard.metadata.info(tensor).is_none()
            {
                return Err(ConvertError::MissingInShard {
                    shard: shard.path.clone(),
                    tensor: tensor.clone(),
                });
            }
            shard_of.insert(tensor.clone(), number);
        }
        Ok(Self { shards, shard_of })
    }

    fn from_shards(shards: Vec<Shard>) -> Result<Self, ConvertError> {
        let shard_of = shards
            .iter()
            .enumerate()
            .flat_map(|(number, shard)| {
                shard
                    .metadata
                    .offset_keys()
                    .into_iter()
                    .map(move |name| (name, number))
            })
            .collect();
        Ok(Self { shards, shard_of })
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.shard_of.keys().map(String::as_str)
    }

    /// Dimensions of a tensor, outermost first.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let (_, info) = self.find(name)?;
        Some(&info.shape)
    }

    fn find(&self, name: &str) -> Option<(&Shard, &TensorInfo)> {
        let shard = self.shards.get(*self.shard_of.get(name)?)?;
        Some((shard, shard.metadata.info(name)?))
    }

    /// Reads one tensor and widens it to f32.
    pub fn read(&self, name: &str) -> Result<Tensor, ConvertError> {
        let (shard, info) = self
            .find(name)
            .ok_or_else(|| ConvertError::NoTensor(name.into()))?;
        let decode = match info.dtype {
            Dtype::F32 => decode_f32,
            Dtype::F16 => decode_f16,
            Dtype::BF16 => decode_bf16,
            other => {
                return Err(ConvertError::Dtype {
                    tensor: name.into(),
                    dtype: format!("{other:?}"),
                });
            }
        };
        let (begin, end) = info.data_offsets;
        let mut bytes = vec![0; end.saturating_sub(begin)];
        let mut file = File::open(&shard.path).map_err(io(&shard.path))?;
        file.seek(SeekFrom::Start(shard.data_start + begin as u64))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(io(&shard.path))?;
        Ok(Tensor {
            name: name.into(),
            shape: info.shape.clone(),
            values: decode(&bytes),
        })
    }

    /// Reads every tensor in order of name. Only one is in memory at a time.
    pub fn tensors(&self) -> impl Iterator<Item = Result<Tensor, ConvertError>> {
        self.names().map(|name| self.read(name))
    }
}

impl Shard {
    fn open(path: &Path) -> Result<Self, ConvertError> {
        let damaged = |reason: String| ConvertError::Damaged {
            path: path.into(),
            reason,
        };
        let mut file = File::open(path).map_err(io(path))?;
        let n_bytes = file.metadata().map_err(io(path))?.len();
        let mut length = [0; 8];
        if n_bytes < 8 {
            return Err(damaged(format!("it has only {n_bytes} bytes")));
        }
        file.read_exact(&mut length).map_err(io(path))?;
        let header_bytes = u64::from_le_bytes(length);
        if header_bytes > MAX_HEADER_BYTES || header_bytes > n_bytes - 8 {
            return Err(damaged(format!(
                "it promises a header of {header_bytes} bytes and has {n_bytes} bytes in all"
            )));
        }
        let mut header = Vec::new();
        file.take(header_bytes)
            .read_to_end(&mut header)
            .map_err(io(path))?;
        // Parsing checks that shapes, types and offsets agree and leave no gap.
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|error| damaged(error.to_string()))?;
        let data_start = 8 + header_bytes;
        let expected = metadata.data_len() as u64;
        if n_bytes - data_start != expected {
            return Err(damaged(format!(
                "it holds {} bytes of values, its header says {expected}",
                n_bytes - data_start
            )));
        }
        Ok(Self {
            path: path.into(),
            data_start,
            metadata,
        })
    }
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> ConvertError {
    move |source| ConvertError::Io {
        path: path.into(),
        source,
    }
}

enum Kind {
    Safetensors,
    Index,
    Pickle,
    Other,
}

impl Kind {
    fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".safetensors") {
            Self::Safetensors
        } else if name.ends_with(".index.json") {
            Self::Index
        } else if [".bin", ".pth", ".pt", ".ckpt"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            Self::Pickle
        } else {
            Self::Other
        }
    }
}

/// The file to open in a folder. An index comes first; a pickle only counts where there is
/// nothing else.
fn find_in_folder(folder: &Path) -> Result<PathBuf, ConvertError> {
    let (mut indices, mut files, mut pickles) = (Vec::new(), Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        match Kind::of(&path) {
            Kind::Index => indices.push(path),
            Kind::Safetensors => files.push(path),
            Kind::Pickle => pickles.push(path),
            Kind::Other => {}
        }
    }
    indices.sort();
    files.sort();
    pickles.sort();
    // Folders of both formats hold an index for each.
    let index = indices
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(".safetensors.index.json"));
    match (index, files.len(), pickles.into_iter().next()) {
        (Some(index), ..) => Ok(index),
        (None, 1, _) => Ok(files.remove(0)),
        (None, 0, Some(pickle)) => Err(ConvertError::Pickle(pickle)),
        (None, 0, None) => Err(ConvertError::NoCheckpoint(folder.into())),
        (None, ..) => match files
            .iter()
            .find(|path| path.ends_with("model.safetensors"))
        {
            Some(model) => Ok(model.clone()),
            None => Err(ConvertError::SeveralFiles(folder.into())),
        },
    }
}

fn decode_f32(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|&four| f32::from_le_bytes(four))
        .collect()
}

fn decode_f16(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks::<2>()
        .0
        .iter()
        .map(|&two| f16::from_le_bytes(two).to_f32())
        .collect()
}

fn decode_bf16(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks::<2>()
        .0
        .iter()
        .map(|&two| bf16::from_le_bytes(two).to_f32())
        .collect()
}
