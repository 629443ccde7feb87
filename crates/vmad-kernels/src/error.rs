use vmad_quant::QuantError;

/// What can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The parts of a packed weight do not fit together.
    #[error(transparent)]
    Weight(#[from] QuantError),
    /// A weight has more elements than a shader can count.
    #[error("a quantised weight of {rows}×{cols} has more than 2³² elements")]
    TooLarge {
        /// Output width.
        rows: usize,
        /// Input width.
        cols: usize,
    },
    /// There is no usable GPU, or the driver refused it.
    #[error("no GPU can be used: {reason}")]
    Adapter {
        /// The driver layer's message.
        reason: String,
    },
    /// A browser rejected a shader.
    #[error("a shader cannot be compiled on this device: {reason}")]
    Pipeline {
        /// The browser's message.
        reason: String,
    },
    /// Reading a result back failed.
    #[error("{op}: reading the result failed: {reason}")]
    Readback {
        /// The operation.
        op: &'static str,
        /// The backend's message.
        reason: String,
    },
    /// The self-test found a result of the wrong length.
    #[error("{op} returned {actual} elements on this device, should be {expected}")]
    SelfTestLength {
        /// The operation.
        op: &'static str,
        /// Elements found.
        actual: usize,
        /// Elements of the CPU reference.
        expected: usize,
    },
    /// The self-test found a wrong result: this device must not be used.
    #[error("{op} is wrong on this device: element {index} is {actual}, should be {expected}")]
    SelfTest {
        /// The operation.
        op: &'static str,
        /// First wrong element.
        index: usize,
        /// What the device computed.
        actual: f32,
        /// The value of the CPU reference.
        expected: f32,
    },
}
