//! What a session tells: the one vocabulary of every front end.

use std::fmt;

use serde::{Serialize, Serializer};
use vmad_prep::Region;

/// A step of loading or of an inspection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Reading `model.json`.
    Manifest,
    /// Reading the tokenizer.
    Tokenizer,
    /// Reading, checking and uploading the weight shards; progress counts bytes.
    Weights,
    /// Putting the model together.
    Building,
    /// Decoding the photograph.
    Decode,
    /// CLIP's image encoder.
    Clip,
    /// Patch features to visual tokens.
    Projector,
    /// SAM's image encoder.
    Sam,
    /// The patch-similarity prior, in models that take one.
    Prior,
    /// The language model over the prompt.
    Llm,
    /// SAM's mask decoder.
    Mask,
    /// Logits to the map at the photograph's size, the score and the regions.
    Score,
    /// The words of the answer.
    Generate,
}

impl Stage {
    /// Its name in events and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Tokenizer => "tokenizer",
            Self::Weights => "weights",
            Self::Building => "building",
            Self::Decode => "decode",
            Self::Clip => "clip",
            Self::Projector => "projector",
            Self::Sam => "sam",
            Self::Prior => "prior",
            Self::Llm => "llm",
            Self::Mask => "mask",
            Self::Score => "score",
            Self::Generate => "generate",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Stage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// How far a stage has come: bytes for [`Stage::Tokenizer`] and [`Stage::Weights`], stages
/// otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// The stage that runs.
    pub stage: Stage,
    /// What is done.
    pub done: u64,
    /// What there is to do.
    pub total: u64,
}

/// What happens during [`crate::Engine::inspect`] and [`crate::Engine::ask`].
///
/// An inspection tells progress, then [`Self::Mask`] and [`Self::Result`] as soon as the verdict
/// stands. If words were asked for, tokens follow, then a new mask if the words marked something,
/// then the result once more, now with the whole answer. [`Self::Done`] is last, unless the stream
/// ends in an error.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A stage begins.
    Progress {
        /// The stage.
        stage: Stage,
        /// Stages done.
        done: u64,
        /// Stages in all.
        total: u64,
    },
    /// A piece of the answer, to be appended to what came before.
    ///
    /// The sentence that carries the mask, `It is [SEG].`, is not part of it.
    Token {
        /// The piece.
        text: String,
    },
    /// How anomalous each pixel is. A later one replaces an earlier one.
    Mask {
        /// Width of the photograph in pixels.
        width: u32,
        /// Height of the photograph in pixels.
        height: u32,
        /// Side of the square of logits that the map was made from.
        logits_side: u32,
        /// `[height, width]`, 0 to 1.
        map: Vec<f32>,
    },
    /// The verdict. A later one replaces an earlier one.
    Result(Inspection),
    /// The call is over.
    Done {
        /// Why.
        reason: StopReason,
    },
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StopReason {
    /// The model ended its answer, or no words were asked for.
    End,
    /// The answer reached its length limit, or the model's context is full.
    Length,
    /// A stop string came.
    Stop,
    /// The caller gave up. What the call had begun is undone.
    Cancelled,
}

/// The verdict on a photograph.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// 0 to 1, higher is more anomalous.
    pub score: f32,
    /// Score from which on the part counts as anomalous.
    pub threshold: f32,
    /// Whether the score reaches the threshold.
    pub anomalous: bool,
    /// Map value above which a pixel belongs to a region.
    pub map_threshold: f32,
    /// Connected areas above it, the highest score first.
    pub regions: Vec<Region>,
    /// The words of the last answer; empty until they are complete.
    pub answer: String,
    /// Whether the model itself produced `[SEG]`. Where it did not, the mask is that of the scoring
    /// mode, which asks for it without sampling.
    pub seg_produced: bool,
    /// The device that computed.
    pub device: String,
    /// Stage and milliseconds, in the order in which they ran.
    pub timings: Vec<(Stage, f64)>,
}

/// Memory and times of a session.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The device that computes.
    pub device: String,
    /// Stage and milliseconds of loading.
    pub loading: Vec<(Stage, f64)>,
    /// Stage and milliseconds of the last call.
    pub timings: Vec<(Stage, f64)>,
    /// Where the bytes are.
    pub memory: Memory,
}

/// Bytes that a session holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Weights on the device.
    pub weights_bytes: u64,
    /// Keys and values of the conversation, on the device.
    pub kv_cache_bytes: u64,
    /// Features of the photograph, on the device.
    pub features_bytes: u64,
    /// The most that shards held in host memory at one time while loading.
    pub peak_shard_bytes: u64,
}
