//! The error type of the crate.

use vmad_kernels::KernelError;
use vmad_model::ModelError;
use vmad_package::PackageError;
use vmad_prep::PrepError;

use crate::{SourceError, Stage};

/// An error of the engine.
///
/// Unless [`Self::is_fatal`], the engine stays usable, and the conversation is as the last finished
/// turn left it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A file of the package could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file of the package is damaged or not of this format.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The model's configuration in `model.json` cannot be parsed.
    #[error("model.json: config: {0}")]
    ConfigJson(serde_json::Error),
    /// The configuration contradicts itself or the tensors, or the model rejects its input.
    #[error(transparent)]
    Model(ModelError),
    /// A tensor is larger than the largest buffer of the device.
    #[error(
        "tensor {name:?} needs a buffer of {bytes} bytes, this device allows {limit}: use the CPU"
    )]
    TensorTooLarge {
        /// The tensor.
        name: String,
        /// Bytes of its largest buffer.
        bytes: u64,
        /// Bytes of the device's largest buffer.
        limit: u64,
    },
    /// The tokenizer has ids for which the model has no embedding.
    #[error("the tokenizer has {tokenizer} tokens, the model {model}")]
    Vocabulary {
        /// Ids of the tokenizer.
        tokenizer: usize,
        /// Rows of the embedding table.
        model: usize,
    },
    /// There is no usable GPU, or it fails its self-test.
    #[error(transparent)]
    Device(KernelError),
    /// A photograph or a text cannot be used.
    #[error(transparent)]
    Prep(#[from] PrepError),
    /// A photograph's file could not be read.
    #[error("the file cannot be read: {reason}")]
    Unreadable {
        /// The error of the reader.
        reason: String,
    },
    /// A calibration had no usable photograph of a good part.
    #[error(
        "thresholds need photographs of good parts, and none of {n_photos} photographs is one \
         that can be used"
    )]
    NoGoodPart {
        /// Number of photographs, those of defective parts and unusable ones included.
        n_photos: usize,
    },
    /// A photograph of a good part cannot be used as a reference.
    #[error("reference {name}: {reason}")]
    Reference {
        /// Its name.
        name: String,
        /// Its error.
        reason: Box<EngineError>,
    },
    /// A setting of the query is out of range.
    #[error("{field} is {value}: {rule}")]
    BadQuery {
        /// The setting.
        field: &'static str,
        /// Its value.
        value: String,
        /// The rule that it violates.
        rule: &'static str,
    },
    /// A question without a photograph.
    #[error("there is no photograph to ask about: inspect one first")]
    NoImage,
    /// The conversation is longer than the model's context.
    #[error(
        "the conversation needs {needed} positions, the model has {limit}: \
         ask something shorter, or inspect the photograph again to start anew"
    )]
    ContextFull {
        /// Positions that the turn needs.
        needed: usize,
        /// Positions that the model has.
        limit: usize,
    },
    /// A stage computed NaN or infinity.
    #[error("stage {stage}: the result is not a finite number; try the other device")]
    NonFinite {
        /// The stage.
        stage: Stage,
    },
    /// A result could not be read back from the device.
    #[error("stage {stage}: reading the result failed: {reason}")]
    Readback {
        /// The stage.
        stage: Stage,
        /// The error of the backend.
        reason: String,
    },
    /// The caller cancelled the call.
    #[error("cancelled")]
    Cancelled,
}

impl EngineError {
    /// A short name of the kind of error, stable across versions.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Source(SourceError::NotFound { .. }) => "package-missing",
            Self::Source(SourceError::TooLarge { .. }) => "package-damaged",
            Self::Source(SourceError::Read { .. }) => "network",
            Self::Package(PackageError::UnknownVersion { .. }) => "package-version",
            Self::Package(_) | Self::ConfigJson(_) | Self::Vocabulary { .. } => "package-damaged",
            Self::Model(ModelError::Kernel(_) | ModelError::Readback(_)) => "gpu-lost",
            Self::Model(_) => "package-damaged",
            Self::TensorTooLarge { .. } => "out-of-memory",
            Self::Device(_) => "no-gpu",
            Self::Prep(error) => prep_code(error),
            Self::Unreadable { .. } => "file-unreadable",
            Self::NoGoodPart { .. } => "no-good-part",
            Self::Reference { reason, .. } => reason.code(),
            Self::BadQuery { .. } => "bad-query",
            Self::NoImage => "no-image",
            Self::ContextFull { .. } => "question-too-long",
            Self::NonFinite { .. } => "internal",
            Self::Readback { .. } => "gpu-lost",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the error is in the photograph, so that another photograph may succeed.
    #[must_use]
    pub fn is_about_photo(&self) -> bool {
        matches!(
            self.code(),
            "not-an-image" | "image-damaged" | "image-too-large" | "file-unreadable"
        )
    }

    /// Whether the device is lost, so that a new engine is needed.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.code() == "gpu-lost"
    }
}

fn prep_code(error: &PrepError) -> &'static str {
    match error {
        PrepError::EmptyFile | PrepError::NotAnImage | PrepError::UnsupportedFormat { .. } => {
            "not-an-image"
        }
        PrepError::Truncated { .. } | PrepError::Damaged { .. } | PrepError::NoPixels { .. } => {
            "image-damaged"
        }
        PrepError::TooLarge { .. } => "image-too-large",
        PrepError::EmptyQuestion => "question-empty",
        PrepError::QuestionTooLong { .. } | PrepError::FieldTooLong { .. } => "question-too-long",
        PrepError::TokenizerFile { .. } | PrepError::MissingToken { .. } => "package-damaged",
        PrepError::MapSize { .. }
        | PrepError::Encode { .. }
        | PrepError::Tokenize { .. }
        | PrepError::ImageSlots { .. } => "internal",
    }
}

impl From<ModelError> for EngineError {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::ContextFull { needed, limit } => Self::ContextFull { needed, limit },
            other => Self::Model(other),
        }
    }
}
