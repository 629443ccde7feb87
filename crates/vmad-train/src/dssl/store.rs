//! The memory as a file, so that a resumed run continues exactly: safetensors, floats bit for bit.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::path::Path;

use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};

use super::config::DsslConfig;
use super::memory::{Centre, Entry, Memory, Queues};
use crate::TrainError;

/// The one metadata key; of several, the order and so the file's bytes would vary.
const HEADER: &str = "memory";
const LABELS: [&str; 2] = ["normal", "abnormal"];

/// What is no tensor.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    /// Class names; the names of tensors count them.
    classes: Vec<String>,
    /// Pictures that the running mean has seen.
    seen: u64,
}

impl Memory {
    /// Writes the memory, whole or not at all.
    ///
    /// # Errors
    /// The file system's.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        let bytes = self.to_bytes().map_err(|error| damaged(path, &error))?;
        vmad_data::write_whole(path, &bytes).map_err(|source| TrainError::Io {
            path: path.to_owned(),
            source,
        })
    }

    /// Reads a memory back. The queues' length is that of `config`; the oldest entries that no
    /// longer fit are dropped.
    ///
    /// # Errors
    /// A missing or damaged file, named.
    pub fn load(config: &DsslConfig, path: &Path) -> Result<Self, TrainError> {
        let bytes = std::fs::read(path).map_err(|source| TrainError::Io {
            path: path.to_owned(),
            source,
        })?;
        Self::from_bytes(config, &bytes).map_err(|error| damaged(path, &error))
    }

    fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let mut columns = vec![("centre".to_owned(), Column::floats(&self.centre.mean, 1))];
        for (index, queues) in self.classes.values().enumerate() {
            for (label, queue) in LABELS.iter().zip([&queues.normal, &queues.abnormal]) {
                let mut put = |part: &str, column| {
                    columns.push((format!("{index}.{label}.{part}"), column));
                };
                let (n, entries) = (queue.len(), || queue.iter());
                let images = entries().flat_map(|e| e.image.to_le_bytes()).collect();
                put("images", Column::new(Dtype::U64, vec![n], images));
                let pooled: Vec<f32> = entries().flat_map(|e| e.pooled.iter().copied()).collect();
                put("pooled", Column::floats(&pooled, n));
                let clip: Vec<f32> = entries().flat_map(|e| e.clip.iter().copied()).collect();
                put("clip", Column::floats(&clip, n));
                let lengths = entries().flat_map(|e| (e.description.len() as u64).to_le_bytes());
                put(
                    "lengths",
                    Column::new(Dtype::U64, vec![n], lengths.collect()),
                );
                let ids = entries().flat_map(|e| e.description.iter());
                let ids: Vec<u8> = ids.flat_map(|id| id.to_le_bytes()).collect();
                put("ids", Column::new(Dtype::I32, vec![ids.len() / 4], ids));
            }
        }
        let header = Header {
            classes: self.classes.keys().cloned().collect(),
            seen: self.centre.seen,
        };
        let header = serde_json::to_string(&header).map_err(|error| error.to_string())?;
        let metadata = HashMap::from([(HEADER.to_owned(), header)]);
        safetensors::serialize(columns, Some(metadata)).map_err(|error| error.to_string())
    }

    fn from_bytes(config: &DsslConfig, bytes: &[u8]) -> Result<Self, String> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
        let header = metadata
            .metadata()
            .as_ref()
            .and_then(|metadata| metadata.get(HEADER));
        let header = header.ok_or("no header of a memory")?;
        let header: Header =
            serde_json::from_str(header).map_err(|error| format!("header: {error}"))?;
        let centre = Centre {
            mean: floats(&file, "centre")?,
            seen: header.seen,
        };
        let mut memory = Self {
            centre,
            ..Self::new(config)
        };
        let mut d_clip = None;
        for (index, name) in header.classes.into_iter().enumerate() {
            let [normal, abnormal] = LABELS.map(|label| -> Result<VecDeque<Entry>, String> {
                let prefix = format!("{index}.{label}");
                let mut entries = read_queue(&file, &prefix)?;
                for entry in &entries {
                    let d_clip = *d_clip.get_or_insert(entry.clip.len());
                    if entry.pooled.len() != memory.centre.mean.len() || entry.clip.len() != d_clip
                    {
                        return Err(format!("{prefix}: widths differ from other entries'"));
                    }
                }
                entries.drain(..entries.len().saturating_sub(memory.queue));
                Ok(entries)
            });
            let queues = Queues {
                normal: normal?,
                abnormal: abnormal?,
            };
            memory.classes.insert(name, queues);
        }
        Ok(memory)
    }
}

fn damaged(path: &Path, message: &str) -> TrainError {
    TrainError::Checkpoint {
        path: path.to_owned(),
        message: message.to_owned(),
    }
}

/// A tensor to be written.
struct Column {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Column {
    fn new(dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>) -> Self {
        Self {
            dtype,
            shape,
            bytes,
        }
    }

    fn floats(values: &[f32], rows: usize) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let width = values.len().checked_div(rows).unwrap_or(0);
        Self::new(Dtype::F32, vec![rows, width], bytes)
    }
}

impl View for Column {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

fn read_queue(file: &SafeTensors, prefix: &str) -> Result<VecDeque<Entry>, String> {
    let name = |part: &str| format!("{prefix}.{part}");
    let images = words(file, &name("images"), Dtype::U64, u64::from_le_bytes)?;
    let lengths = words(file, &name("lengths"), Dtype::U64, u64::from_le_bytes)?;
    let ids = words(file, &name("ids"), Dtype::I32, i32::from_le_bytes)?;
    let pooled = floats(file, &name("pooled"))?;
    let clip = floats(file, &name("clip"))?;
    let n = images.len();
    let width = |values: &[f32], part: &str| match values.len().checked_div(n) {
        Some(d) if d > 0 && values.len() == n * d => Ok(d),
        None if values.is_empty() => Ok(1),
        _ => Err(format!(
            "{}: {} values for {n} entries",
            name(part),
            values.len()
        )),
    };
    let (d_pooled, d_clip) = (width(&pooled, "pooled")?, width(&clip, "clip")?);
    if lengths.len() != n {
        return Err(format!(
            "{}: {} for {n} entries",
            name("lengths"),
            lengths.len()
        ));
    }
    let mut rest = ids.as_slice();
    let mut entries = VecDeque::with_capacity(n);
    let rows = pooled.chunks_exact(d_pooled).zip(clip.chunks_exact(d_clip));
    for ((image, length), (pooled, clip)) in images.into_iter().zip(lengths).zip(rows) {
        let split = usize::try_from(length)
            .ok()
            .and_then(|length| rest.split_at_checked(length));
        let (description, after) = split.ok_or(format!("{}: too few", name("ids")))?;
        rest = after;
        entries.push_back(Entry {
            image,
            pooled: pooled.to_vec(),
            clip: clip.to_vec(),
            description: description.to_vec(),
        });
    }
    Ok(entries)
}

fn floats(file: &SafeTensors, name: &str) -> Result<Vec<f32>, String> {
    words(file, name, Dtype::F32, f32::from_le_bytes)
}

fn words<const N: usize, T>(
    file: &SafeTensors,
    name: &str,
    dtype: Dtype,
    read: fn([u8; N]) -> T,
) -> Result<Vec<T>, String> {
    let view = file
        .tensor(name)
        .map_err(|error| format!("{name}: {error}"))?;
    if view.dtype() != dtype {
        return Err(format!(
            "{name}: {:?} in the place of {dtype:?}",
            view.dtype()
        ));
    }
    let (words, _) = view.data().as_chunks::<N>();
    Ok(words.iter().map(|word| read(*word)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dssl::Observation;

    fn filled(config: &DsslConfig) -> Memory {
        let mut memory = Memory::new(config);
        for image in 0..11_u64 {
            let value = (image as f32 + 0.1).sqrt();
            memory.push(Observation {
                class: ["bolt", "Größe 🔩"][image as usize % 2].to_owned(),
                is_abnormal: image % 3 == 0,
                entry: Entry {
                    image: u64::MAX - image,
                    pooled: vec![value, f32::MIN_POSITIVE / 3.0, -0.0],
                    clip: vec![1.0 / value; 2],
                    description: vec![7; image as usize % 4],
                },
            });
        }
        memory
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let config = DsslConfig::default();
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("memory.safetensors");
        for memory in [Memory::new(&config), filled(&config)] {
            memory.save(&path).expect("saved");
            let read = Memory::load(&config, &path).expect("loaded");
            assert_eq!(read, memory);
            // −0 equals 0, its bytes do not.
            assert!(read.to_bytes() == memory.to_bytes(), "other bytes");
        }
        let shorter = DsslConfig {
            queue: 2,
            min_normal: 1,
            ..config
        };
        let read = Memory::load(&shorter, &path).expect("loaded");
        let kept: Vec<u64> = read
            .others("bolt", 0)
            .unwrap_or_default()
            .iter()
            .map(|(e, _)| u64::MAX - e.image)
            .collect();
        assert_eq!(kept, [8, 10, 0, 6]);
    }

    #[test]
    fn damage_is_named() {
        // Puts `column` in the place of `part`, or takes it away.
        fn check(part: &str, column: Option<Column>, named: &str) {
            let config = DsslConfig::default();
            let whole = filled(&config).to_bytes().expect("bytes");
            let file = SafeTensors::deserialize(&whole).expect("a file");
            let (_, metadata) = SafeTensors::read_metadata(&whole).expect("a header");
            let copy = |name: String| {
                let view = file.tensor(&name).expect("a tensor");
                let shape = view.shape().to_vec();
                (name, Column::new(view.dtype(), shape, view.data().to_vec()))
            };
            let names = file.names().into_iter().filter(|name| *name != part);
            let mut columns: Vec<_> = names.map(|name| copy(name.to_owned())).collect();
            assert_eq!(columns.len() + 1, file.len(), "{part}");
            columns.extend(column.map(|column| (part.to_owned(), column)));
            let bytes = safetensors::serialize(columns, metadata.metadata().clone());
            let error = Memory::from_bytes(&config, &bytes.expect("bytes")).expect_err(named);
            assert!(error.contains(named), "{error}");
        }
        let one = || Some(Column::floats(&[1.0], 1));
        let words = |dtype, n, bytes| Some(Column::new(dtype, vec![n], vec![1; bytes]));
        check("1.normal.clip", None, "1.normal.clip");
        check(
            "0.normal.ids",
            words(Dtype::I32, 0, 0),
            "0.normal.ids: too few",
        );
        check(
            "0.abnormal.lengths",
            words(Dtype::U64, 1, 8),
            "0.abnormal.lengths: 1",
        );
        check("0.normal.pooled", one(), "0.normal.pooled: 1 values");
        check("1.abnormal.images", one(), "1.abnormal.images: F32");
        check("centre", one(), "widths differ");
    }

    #[test]
    fn another_file_is_none_of_ours() {
        fn check(header: Option<&str>, named: &str) {
            let columns = vec![("centre", Column::floats(&[], 1))];
            let metadata =
                header.map(|header| HashMap::from([(HEADER.to_owned(), header.to_owned())]));
            let bytes = safetensors::serialize(columns, metadata).expect("bytes");
            let error = Memory::from_bytes(&DsslConfig::default(), &bytes).expect_err(named);
            assert!(error.contains(named), "{error}");
        }
        check(None, "no header");
        check(Some("[]"), "header: ");
        check(Some(r#"{"classes": [], "seen": -1}"#), "header: ");
        check(
            Some(r#"{"classes": ["bolt"], "seen": 1}"#),
            "0.normal.images",
        );
        let config = DsslConfig::default();
        assert!(Memory::from_bytes(&config, b"no safetensors").is_err());
        let whole = filled(&config).to_bytes().expect("bytes");
        assert!(Memory::from_bytes(&config, &whole[..whole.len() - 3]).is_err());
    }
}
