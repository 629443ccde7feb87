use std::fmt;

use vmad_quant::QuantError;

use crate::Sha256;

/// What can be wrong with a package, or with the data for one.
///
/// Text from a file is quoted and shortened in the messages.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The manifest is larger than any real one.
    #[error("model.json has {bytes} bytes, at most {limit} are read")]
    ManifestTooLarge {
        /// Bytes that are there.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The manifest is not JSON, or a field is missing or of the wrong type.
    #[error("model.json: {0}")]
    ManifestJson(#[from] serde_json::Error),
    /// The `format` field names something else.
    #[error("model.json: format is {found:?}, expected \"vmad-package\"")]
    Format {
        /// What it names.
        found: String,
    },
    /// The package is of a version that this parser does not know.
    #[error(
        "model.json: format version {found} is unknown, this program reads version {supported}"
    )]
    UnknownVersion {
        /// Version of the package.
        found: u64,
        /// Version of this parser.
        supported: u64,
    },
    /// A list or a file is beyond the format's limits.
    #[error("{what}: {found}, at most {limit} are allowed")]
    Limit {
        /// What is counted.
        what: String,
        /// How many there are.
        found: u64,
        /// How many may be there.
        limit: u64,
    },
    /// A file name is not a plain name inside the package folder.
    #[error(
        "model.json: file name {name:?} is refused, \
         only letters, digits, '.', '_' and '-' are allowed and no '.' at the start"
    )]
    FileName {
        /// The name.
        name: String,
    },
    /// Two entries name the same file.
    #[error("model.json: file {file:?} is listed twice")]
    DuplicateFile {
        /// The name.
        file: String,
    },
    /// A tensor's name is empty, too long or has control characters.
    #[error("model.json: tensor name {name:?} is refused: {reason}")]
    TensorName {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two tensors would be stored under one name.
    #[error("model.json: tensor {tensor:?}: the name {entry:?} is taken already")]
    DuplicateTensor {
        /// The second tensor.
        tensor: String,
        /// The name that it would be stored under.
        entry: String,
    },
    /// A tensor's shape has a zero, overflows, or does not suit its storage.
    #[error("tensor {tensor:?} of shape {shape:?}: {reason}")]
    TensorShape {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A tensor refers to a shard that is not listed.
    #[error("model.json: tensor {tensor:?} lies in shards up to {shard}, there are {n_shards}")]
    ShardIndex {
        /// The tensor.
        tensor: String,
        /// Last shard it needs, counted from 0.
        shard: usize,
        /// Shards listed.
        n_shards: usize,
    },
    /// The tensors assigned to a shard need more bytes than the shard has.
    #[error("model.json: shard {shard:?} has {bytes} bytes, its tensors need {needed}")]
    ShardTooSmall {
        /// The shard's file.
        shard: String,
        /// Its size by the manifest.
        bytes: u64,
        /// Bytes of its tensors.
        needed: u64,
    },
    /// A threshold is not a finite number, or the temperature is not above 0.
    #[error("model.json: threshold.{field} is {value}")]
    Threshold {
        /// Which field.
        field: &'static str,
        /// Its value.
        value: f32,
    },
    /// A template lacks one of its slots.
    #[error("model.json: templates.{template} lacks {slot}")]
    TemplateSlot {
        /// Which template.
        template: &'static str,
        /// The slot.
        slot: &'static str,
    },
    /// A shard was asked for that the manifest does not list.
    #[error("shard {index} was asked for, the manifest lists {n_shards}")]
    NoSuchShard {
        /// The shard asked for, counted from 0.
        index: usize,
        /// Shards listed.
        n_shards: usize,
    },
    /// A file is truncated or has something appended.
    #[error("file {file:?} has {actual} bytes, the manifest says {expected}")]
    FileSize {
        /// The file.
        file: String,
        /// Bytes by the manifest.
        expected: u64,
        /// Bytes that are there.
        actual: u64,
    },
    /// A file's content was altered.
    #[error("file {file:?}: sha256 is {actual}, the manifest says {expected}")]
    FileHash {
        /// The file.
        file: String,
        /// Hash by the manifest.
        expected: Sha256,
        /// Hash of what is there.
        actual: Sha256,
    },
    /// A shard's safetensors header cannot be read.
    #[error("shard {shard:?}: header: {reason}")]
    ShardHeader {
        /// The shard's file.
        shard: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A shard holds an entry that the manifest does not assign to it.
    #[error("shard {shard:?} holds an entry {entry:?} that the manifest does not put there")]
    UnexpectedEntry {
        /// The shard's file.
        shard: String,
        /// The entry's name.
        entry: String,
    },
    /// A shard lists an entry twice.
    #[error("{place}: listed twice")]
    DuplicateEntry {
        /// The entry.
        place: Box<EntryPlace>,
    },
    /// A shard lacks an entry, for instance the scales of a quantised tensor.
    #[error("{place}: missing")]
    MissingEntry {
        /// The entry.
        place: Box<EntryPlace>,
    },
    /// An entry has not the dtype that the tensor's storage demands.
    #[error(
        "{place}: \
         dtype is {actual:?}, the manifest demands {expected:?}"
    )]
    EntryDtype {
        /// The entry.
        place: Box<EntryPlace>,
        /// Demanded dtype.
        expected: String,
        /// Dtype in the header.
        actual: String,
    },
    /// An entry has not the shape that the tensor's storage demands.
    #[error(
        "{place}: \
         shape is {actual:?}, the manifest demands {expected:?}"
    )]
    EntryShape {
        /// The entry.
        place: Box<EntryPlace>,
        /// Demanded shape.
        expected: Vec<usize>,
        /// Shape in the header.
        actual: Vec<usize>,
    },
    /// An entry's bytes are not where they can be.
    #[error(
        "{place}: \
         data offsets are {start}..{end}, expected {expected_start}..{expected_end}"
    )]
    EntryOffsets {
        /// The entry.
        place: Box<EntryPlace>,
        /// Start in the header.
        start: u64,
        /// End in the header.
        end: u64,
        /// Where the entry before it ends.
        expected_start: u64,
        /// That plus the size of dtype and shape.
        expected_end: u64,
    },
    /// The data of a shard is longer or shorter than its entries.
    #[error(
        "shard {shard:?}: {actual} bytes of data follow the header, its tensors need {expected}"
    )]
    ShardData {
        /// The shard's file.
        shard: String,
        /// Bytes of its entries.
        expected: u64,
        /// Bytes that are there.
        actual: u64,
    },
    /// A quantised tensor holds a value or a scale outside its range.
    #[error("shard {shard:?}, tensor {tensor:?}: {source}")]
    Quantised {
        /// The shard's file.
        shard: String,
        /// The tensor.
        tensor: String,
        /// What is wrong with it.
        source: QuantError,
    },
    /// A float tensor holds NaN or infinity.
    #[error("shard {shard:?}, tensor {tensor:?}: value {index} is {value}")]
    NonFinite {
        /// The shard's file.
        shard: String,
        /// The tensor.
        tensor: String,
        /// Position in the flattened tensor (or piece of it).
        index: usize,
        /// The value.
        value: f32,
    },
    /// The pieces of a split tensor came out of order, or not all of them.
    #[error("tensor {tensor:?}: {joined} of {total} rows joined, the next piece starts at {start}")]
    Pieces {
        /// The tensor.
        tensor: String,
        /// Rows so far.
        joined: usize,
        /// Rows of the whole.
        total: usize,
        /// First row of the piece that came, or `total` when none did.
        start: usize,
    },
    /// A tensor for a new package has more or fewer values than its shape.
    #[error("tensor {tensor:?} of shape {shape:?} comes with {actual} values")]
    ValueCount {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Values that came.
        actual: usize,
    },
    /// A value cannot be stored: NaN, infinite, or beyond `f16`.
    #[error("tensor {tensor:?}: value {index} is {value}, which {storage} cannot hold")]
    Unstorable {
        /// The tensor.
        tensor: String,
        /// Position in the flattened tensor.
        index: usize,
        /// The value.
        value: f32,
        /// The storage asked for.
        storage: crate::Storage,
    },
    /// A tensor cannot be quantised.
    #[error("tensor {tensor:?}: {source}")]
    Quantise {
        /// The tensor.
        tensor: String,
        /// What is wrong with it.
        source: QuantError,
    },
    /// One row of a tensor is larger than a shard may be.
    #[error("tensor {tensor:?}: one row does not fit into a shard of {limit} bytes")]
    RowTooLarge {
        /// The tensor.
        tensor: String,
        /// Bytes of a shard.
        limit: u64,
    },
    /// The safetensors writer refused what it was given.
    #[error("shard {shard:?}: {source}")]
    Serialise {
        /// The shard's file.
        shard: String,
        /// Its reason.
        source: safetensors::SafeTensorError,
    },
    /// The sink of a new package failed.
    #[error("file {file:?}: {source}")]
    Write {
        /// The file.
        file: String,
        /// Its reason.
        source: std::io::Error,
    },
}

/// An entry of a shard, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPlace {
    /// The shard's file.
    pub shard: String,
    /// The tensor that the entry belongs to.
    pub tensor: String,
    /// The entry's name.
    pub entry: String,
}

impl fmt::Display for EntryPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            shard,
            tensor,
            entry,
        } = self;
        write!(f, "shard {shard:?}, tensor {tensor:?}, entry {entry:?}")
    }
}

/// Shortens text from a file for a message.
pub(crate) fn clip(text: &str) -> String {
    const MAX_CHARS: usize = 120;
    match text.char_indices().nth(MAX_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
