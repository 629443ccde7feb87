//! Events, verdicts and reports: the types that every front end receives.

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
    /// Building the model from its weights.
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
    /// Generating the answer.
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

/// Progress of [`crate::Engine::open`]. Counts bytes of the package for [`Stage::Tokenizer`] and
/// [`Stage::Weights`], and 0 to 1 for the other stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// The stage that runs.
    pub stage: Stage,
    /// Units done.
    pub done: u64,
    /// Units in all.
    pub total: u64,
}

/// Events of [`crate::Engine::inspect`] and [`crate::Engine::ask`].
///
/// An inspection emits [`Self::Progress`] for each stage, and [`Self::Mask`] and [`Self::Result`]
/// once the photograph is scored. An answer in words follows as [`Self::Token`]s, then a new
/// [`Self::Mask`] if the answer has further `[SEG]` tokens, then a second [`Self::Result`] with the
/// complete answer. [`Self::Done`] is last, unless the stream ends in an error.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A stage begins.
    Progress {
        /// The stage.
        stage: Stage,
        /// Stages of the plan that began before.
        done: u64,
        /// Stages of the plan. A stage that a `[SEG]` in the answer adds is not counted.
        total: u64,
    },
    /// Text to append to the answer. The sentence that carries the mask, `It is [SEG].`, is left
    /// out.
    Token {
        /// The text.
        text: String,
    },
    /// The anomaly map. A later map replaces an earlier one.
    Mask {
        /// Width of the photograph in pixels.
        width: u32,
        /// Height of the photograph in pixels.
        height: u32,
        /// Side of the square of mask logits that the map comes from.
        logits_side: u32,
        /// `[height, width]`, 0 to 1.
        map: Vec<f32>,
    },
    /// The verdict. A later verdict replaces an earlier one.
    Result(Inspection),
    /// The call is over.
    Done {
        /// Why.
        reason: StopReason,
    },
}

/// The reason why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StopReason {
    /// The model ended its answer, or the query asked for no answer.
    End,
    /// The answer reached its maximum length, or the model's context is full.
    Length,
    /// The answer reached a stop string.
    Stop,
    /// The caller cancelled. The unfinished turn is undone.
    Cancelled,
}

/// The verdict on a photograph.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// Anomaly score, 0 to 1; higher is more anomalous.
    pub score: f32,
    /// Scores of at least this are anomalous.
    pub threshold: f32,
    /// Whether the score reaches the threshold.
    pub anomalous: bool,
    /// Map value above which a pixel belongs to a region.
    pub map_threshold: f32,
    /// Connected areas above the map threshold, the highest score first.
    pub regions: Vec<Region>,
    /// The last answer; empty until it is complete.
    pub answer: String,
    /// Whether the model itself produced `[SEG]`. If not, the mask is only that of the forced
    /// prompt.
    pub seg_produced: bool,
    /// The device that computed.
    pub device: String,
    /// Stage and milliseconds, in the order in which they ran.
    pub timings: Vec<(Stage, f64)>,
}

/// A pair of thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Thresholds {
    /// Threshold of the score: scores of at least this are anomalous.
    pub image: f32,
    /// Threshold of the map: pixels above it are marked.
    pub pixel: f32,
}

/// Memory and times of an engine.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The device that computes.
    pub device: String,
    /// Stage and milliseconds of loading.
    pub loading: Vec<(Stage, f64)>,
    /// Stage and milliseconds of the last call.
    pub timings: Vec<(Stage, f64)>,
    /// Memory in use.
    pub memory: Memory,
}

/// Bytes that an engine holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Weights on the device.
    pub weights_bytes: u64,
    /// Keys and values of the conversation, on the device.
    pub kv_cache_bytes: u64,
    /// Features of the photograph, on the device.
    pub features_bytes: u64,
    /// Bytes of the largest shard, which loading holds in host memory.
    pub peak_shard_bytes: u64,
}
