//! What can go wrong while training.

use std::path::PathBuf;

use vmad_package::Sha256;

/// An error of the training crate.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The run's configuration cannot be used.
    #[error("{path}: {message}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A checkpoint is damaged or belongs to another run.
    #[error("checkpoint {path}: {message}; delete the folder to start anew")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Kept features cannot be read.
    #[error("features {path}: {message}; delete the file, and it is made anew")]
    Features {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The loss is no longer a number.
    #[error(
        "step {step}: the loss is {loss}; lower optimiser.learning_rate and resume from the last \
         checkpoint"
    )]
    NotFinite {
        /// The step.
        step: u64,
        /// The loss.
        loss: f32,
    },
    /// A pattern of parameters to freeze matches none.
    #[error(
        "freeze: no parameter is called {pattern:?}; names are those of a package, as in \
         \"clip.*\" or \"llm.layers.*.weight\""
    )]
    Unfrozen {
        /// The pattern.
        pattern: String,
    },
    /// LoRA's factors have no weight that they could be added to.
    #[error("lora: {name} is not in the model in floating point, so nothing can be merged into it")]
    Unmergeable {
        /// Name of the base weight.
        name: String,
    },
    /// The model could not be built or run.
    #[error(transparent)]
    Model(#[from] vmad_model::ModelError),
    /// A data set could not be read.
    #[error(transparent)]
    Data(#[from] vmad_data::DataError),
    /// No photograph of a data set can be learned from.
    #[error("{tries} photographs in a row have no mask or cannot be read; check data.folders")]
    NoScene {
        /// Photographs that were tried.
        tries: usize,
    },
    /// A prompt could not be encoded.
    #[error(transparent)]
    Prep(#[from] vmad_prep::PrepError),
    /// The tokenizer could not be learned.
    #[error(transparent)]
    Tokenizer(#[from] crate::TokenizerError),
    /// The package could not be read or written.
    #[error(transparent)]
    PackageFormat(#[from] vmad_package::PackageError),
    /// A package cannot be used.
    #[error("{path}: {message}")]
    Package {
        /// Its folder.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A checkpoint was made on another base.
    #[error(
        "checkpoint {checkpoint}: its base {base} has weights {actual}, and it was made on {expected}; \
         restore that version of {base}"
    )]
    WrongBase {
        /// The checkpoint's folder.
        checkpoint: PathBuf,
        /// The base's folder.
        base: PathBuf,
        /// Hash of the weights that the checkpoint was made on.
        expected: Sha256,
        /// Hash of the base's weights.
        actual: Sha256,
    },
    /// A tensor that the run uses has no values in the checkpoint that it starts from.
    #[error(
        "start: {package} has no values for {name}; name it in start.reinitialise, or a package that has \
         them in start.parts"
    )]
    AbsentTensor {
        /// The tensor.
        name: String,
        /// The checkpoint's folder.
        package: PathBuf,
    },
    /// Reading from the device failed.
    #[error("reading from the device: {0}")]
    Readback(String),
}
