//! Errors of constructing and running a model.

/// An error of the model crate.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A tensor that the configuration asks for is not in the package.
    #[error("tensor {name}: missing; the configuration asks for shape {expected:?}")]
    Missing {
        /// Name in the package.
        name: String,
        /// Shape that the configuration asks for.
        expected: Vec<usize>,
    },
    /// A tensor has another shape than the configuration asks for.
    #[error("tensor {name}: shape is {actual:?}, the configuration asks for {expected:?}")]
    Shape {
        /// Name in the package.
        name: String,
        /// Shape that the configuration asks for.
        expected: Vec<usize>,
        /// Shape that was found.
        actual: Vec<usize>,
    },
    /// A tensor is stored quantised where the model needs it in floating point.
    #[error("tensor {name}: stored quantised, but this tensor must be f32 or f16")]
    NotDense {
        /// Name in the package.
        name: String,
    },
    /// The configuration contradicts itself.
    #[error("configuration: {0}")]
    Config(String),
    /// The prompt does not fit the model's context.
    #[error("the conversation needs {needed} positions, the model has {limit}; start a new one")]
    ContextFull {
        /// Positions that the request needs.
        needed: usize,
        /// Positions that the model has.
        limit: usize,
    },
    /// A token id lies outside the vocabulary.
    #[error("token id {id} is outside the vocabulary of {vocab_size}")]
    TokenId {
        /// The id.
        id: i32,
        /// Rows of the embedding table.
        vocab_size: usize,
    },
    /// A kernel failed.
    #[error(transparent)]
    Kernel(#[from] vmad_kernels::KernelError),
    /// Reading a result back from the device failed.
    #[error("reading back from the device: {0}")]
    Readback(String),
}
