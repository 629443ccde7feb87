use thiserror::Error;

/// Why a picture or a text could not be prepared.
///
/// The message is written for the person who chose the picture or typed the text: what is wrong,
/// then what to do about it.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PrepError {
    /// No bytes at all.
    #[error("the file is empty: choose a photograph in PNG, JPEG, WebP, BMP or TIFF format")]
    EmptyFile,
    /// The bytes start like no picture format.
    #[error(
        "the file is not an image this program knows: choose a photograph in PNG, JPEG, WebP, BMP or TIFF format"
    )]
    NotAnImage,
    /// A picture, but of a format that is not read here.
    #[error("{format} pictures are not read: save it as PNG, JPEG, WebP, BMP or TIFF first")]
    UnsupportedFormat {
        /// Name of the recognised format, or of the unsupported feature.
        format: String,
    },
    /// The file stops before its picture is complete.
    #[error(
        "the {format} file ends before its picture is complete: copy or download it again from its source"
    )]
    Truncated {
        /// Name of the format.
        format: String,
    },
    /// The file contradicts its own format.
    #[error("the {format} file is damaged ({message}): export it again from its source")]
    Damaged {
        /// Name of the format.
        format: String,
        /// The decoder's message.
        message: String,
    },
    /// More pixels than may be decoded. Found in the header, before any pixel is allocated.
    #[error(
        "the picture has {width}×{height} pixels, more than the limit of {limit} pixels in all: crop it or make it smaller"
    )]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Largest number of pixels that is accepted.
        limit: u64,
    },
    /// A side of zero pixels.
    #[error("the picture has {width}×{height} pixels: choose another picture")]
    NoPixels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// A map, mask or logit grid whose length is not what its stated size needs.
    #[error("{what}: {actual} values, but its size needs {expected}")]
    MapSize {
        /// What the values are.
        what: &'static str,
        /// Number of values that the size needs.
        expected: usize,
        /// Number of values that came.
        actual: usize,
    },
    /// A picture could not be written as PNG.
    #[error("writing the PNG failed: {message}")]
    Encode {
        /// The encoder's message.
        message: String,
    },
    /// `tokenizer.json` cannot be read.
    #[error("the tokenizer file cannot be used: {message}")]
    TokenizerFile {
        /// The reader's message.
        message: String,
    },
    /// `tokenizer.json` lacks a token that the model cannot do without.
    #[error("the tokenizer file has no token {token:?}, which the model needs")]
    MissingToken {
        /// Text of the token.
        token: &'static str,
    },
    /// Text that the tokenizer's model refuses.
    #[error("the text cannot be turned into tokens: {message}")]
    Tokenize {
        /// The tokenizer's message.
        message: String,
    },
    /// A prompt with a number of image slots other than one.
    #[error("the prompt has {found} image slots where exactly one is needed")]
    ImageSlots {
        /// Number of slots found.
        found: usize,
    },
    /// A question without text.
    #[error("the question is empty: type what you want to know about the picture")]
    EmptyQuestion,
    /// A question above the limit.
    #[error("the question is too long ({bytes} bytes): shorten it to at most {limit} characters")]
    QuestionTooLong {
        /// Length of the question in bytes.
        bytes: usize,
        /// Largest number of characters that is accepted.
        limit: usize,
    },
    /// An object name or a normal-scene description above the limit.
    #[error("the {field} is too long ({bytes} bytes): shorten it to at most {limit} characters")]
    FieldTooLong {
        /// Which field.
        field: &'static str,
        /// Its length in bytes.
        bytes: usize,
        /// Largest number of characters that is accepted.
        limit: usize,
    },
}
