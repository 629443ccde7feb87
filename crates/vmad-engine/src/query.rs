//! Requests: photograph, query and generation settings, and their validation.

use serde::{Deserialize, Serialize};
use vmad_package::Topic;
use vmad_prep::{Limits, PrepError, RgbImage, Tokenizer, decode};

use crate::{EngineError, Thresholds};

/// A photograph.
#[derive(Clone, Debug)]
pub enum Photo {
    /// A PNG, JPEG, WebP, BMP or TIFF file.
    File(Vec<u8>),
    /// Pixels, upright.
    Rgb(RgbImage),
}

impl From<Vec<u8>> for Photo {
    fn from(bytes: Vec<u8>) -> Self {
        Self::File(bytes)
    }
}

impl From<RgbImage> for Photo {
    fn from(image: RgbImage) -> Self {
        Self::Rgb(image)
    }
}

impl Photo {
    /// The pixels, upright, at least one.
    ///
    /// # Errors
    /// [`EngineError::Prep`] when the file is no photograph that can be decoded or has no pixels.
    pub(crate) fn decode(self) -> Result<RgbImage, EngineError> {
        match self {
            Self::File(bytes) => Ok(decode(&bytes, &Limits::default())?),
            Self::Rgb(image) => match image.dimensions() {
                (width, height) if width == 0 || height == 0 => {
                    Err(PrepError::NoPixels { width, height }.into())
                }
                _ => Ok(image),
            },
        }
    }
}

/// A request for an inspection: the part, the question, and thresholds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Query {
    /// Name of the object, e.g. `bolt`.
    pub object: Option<String>,
    /// Description of a good part.
    pub normal: Option<String>,
    /// What the answer in words is about.
    pub ask: Ask,
    /// Sampling settings of the answer.
    pub generation: Generation,
    /// Scores of at least this are anomalous; the package's threshold if absent.
    pub threshold: Option<f32>,
    /// Pixels with a map value above this belong to regions; the package's threshold if absent.
    pub map_threshold: Option<f32>,
}

/// What the answer in words is about, beside mask and score.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ask {
    /// Nothing.
    #[default]
    None,
    /// What the defect looks like and where it is.
    Description,
    /// What it does to the part's function.
    Impact,
    /// What to do about it.
    Suggestion,
    /// A question in the caller's own words.
    #[serde(rename = "question")]
    Free(String),
}

impl Ask {
    pub(crate) fn topic(&self) -> Option<Topic> {
        match self {
            Self::Description => Some(Topic::Description),
            Self::Impact => Some(Topic::Impact),
            Self::Suggestion => Some(Topic::Suggestion),
            Self::None | Self::Free(_) => None,
        }
    }
}

/// How the tokens of an answer are sampled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Generation {
    /// Maximum number of tokens of an answer.
    pub max_new_tokens: usize,
    /// 0 is greedy decoding; higher values are more varied.
    pub temperature: f32,
    /// Nucleus sampling: sample from the likeliest tokens whose probabilities add up to this; 1 is
    /// off.
    pub top_p: f32,
    /// Sample from this many likeliest tokens; 0 is off.
    pub top_k: usize,
    /// Values above 1 make tokens that the answer already has less likely; 1 is off.
    pub repetition_penalty: f32,
    /// Seed of the sampler; the same seed gives the same tokens.
    pub seed: u64,
    /// Strings that end the answer; the answer does not contain them.
    pub stop: Vec<String>,
}

impl Default for Generation {
    fn default() -> Self {
        Self {
            max_new_tokens: 160,
            temperature: 0.0,
            top_p: 1.0,
            top_k: 0,
            repetition_penalty: 1.0,
            seed: 0,
            stop: Vec::new(),
        }
    }
}

/// Maximum number of stop strings, and of bytes of one.
const MAX_STOPS: usize = 16;
const MAX_STOP_BYTES: usize = 256;

impl Generation {
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        check(
            self.temperature >= 0.0 && self.temperature <= 100.0,
            "temperature",
            self.temperature,
            "it must lie between 0 and 100",
        )?;
        check(
            self.top_p > 0.0 && self.top_p <= 1.0,
            "topP",
            self.top_p,
            "it must be above 0 and at most 1",
        )?;
        check(
            self.repetition_penalty >= 0.1 && self.repetition_penalty <= 10.0,
            "repetitionPenalty",
            self.repetition_penalty,
            "it must lie between 0.1 and 10",
        )?;
        check(
            self.stop.len() <= MAX_STOPS,
            "stop",
            format!("{} strings", self.stop.len()),
            "at most 16 are allowed",
        )?;
        match self.stop.iter().find(|stop| stop.len() > MAX_STOP_BYTES) {
            None => Ok(()),
            Some(stop) => check(
                false,
                "stop",
                format!("{} bytes long", stop.len()),
                "at most 256 are allowed",
            ),
        }
    }
}

fn check(
    holds: bool,
    field: &'static str,
    value: impl ToString,
    rule: &'static str,
) -> Result<(), EngineError> {
    if holds {
        return Ok(());
    }
    Err(EngineError::BadQuery {
        field,
        value: value.to_string(),
        rule,
    })
}

/// A validated query: texts without special tokens, numbers in range.
pub(crate) struct CheckedQuery {
    pub object: Option<String>,
    pub normal: Option<String>,
    pub topic: Option<Topic>,
    pub question: Option<String>,
    pub generation: Generation,
    pub threshold: Option<f32>,
    pub map_threshold: Option<f32>,
}

impl CheckedQuery {
    /// Validates a query.
    ///
    /// # Errors
    /// [`EngineError::BadQuery`] names a number that is out of range, [`EngineError::Prep`] a text
    /// that is too long or an empty question.
    pub fn new(query: Query, tokenizer: &Tokenizer) -> Result<Self, EngineError> {
        query.generation.check()?;
        for (field, threshold) in [
            ("threshold", query.threshold),
            ("mapThreshold", query.map_threshold),
        ] {
            if let Some(value) = threshold {
                check(
                    value.is_finite(),
                    field,
                    value,
                    "it must be a finite number",
                )?;
            }
        }
        let object = query.object.as_deref().unwrap_or_default();
        let normal = query.normal.as_deref().unwrap_or_default();
        Ok(Self {
            object: tokenizer.object_name(object)?,
            normal: tokenizer.normal_description(normal)?,
            topic: query.ask.topic(),
            question: match &query.ask {
                Ask::Free(question) => Some(tokenizer.question(question)?),
                _ => None,
            },
            generation: query.generation,
            threshold: query.threshold,
            map_threshold: query.map_threshold,
        })
    }

    /// The query's thresholds; the package's where it has none.
    pub fn thresholds(&self, package: Thresholds) -> Thresholds {
        Thresholds {
            image: self.threshold.unwrap_or(package.image),
            pixel: self.map_threshold.unwrap_or(package.pixel),
        }
    }
}
