//! The inspection that warms a GPU up.

use vmad_prep::RgbImage;
use vmad_prep::overlay::colour;

use crate::{Ask, Generation, Query};

/// Side of the test pattern in pixels.
const SIDE: u32 = 64;
/// Tokens to generate: the first token takes other shaders than the later ones.
const MAX_NEW_TOKENS: usize = 3;

/// A picture of many colours: in a uniform one, the similarity prior has nothing to compare.
pub(crate) fn test_pattern() -> RgbImage {
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        colour(((x * 37 + y * 91) % 256) as f32 / 255.0).into()
    })
}

/// A query whose inspection runs every stage.
pub(crate) fn query() -> Query {
    Query {
        ask: Ask::Description,
        generation: Generation {
            max_new_tokens: MAX_NEW_TOKENS,
            ..Generation::default()
        },
        ..Query::default()
    }
}
