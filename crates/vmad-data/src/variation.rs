//! What differs between two images of the same product.

use crate::math::Rgb;

/// Per-image variation that every shader receives.
pub(crate) struct Variation {
    /// Multiplies the albedo per channel.
    pub tone: Rgb,
    /// Seed of the surface noise.
    pub seed: u32,
    /// Width of one pixel in product units, for antialiasing.
    pub pixel: f32,
    /// Four free numbers in −1..1.
    pub free: [f32; 4],
}

impl Variation {
    /// Coverage of the inside of a signed distance, antialiased.
    pub(crate) fn inside(&self, d: f32) -> f32 {
        (0.5 - d / self.pixel).clamp(0.0, 1.0)
    }

    pub(crate) fn tint(&self, c: Rgb) -> Rgb {
        [
            c[0] * self.tone[0],
            c[1] * self.tone[1],
            c[2] * self.tone[2],
        ]
    }
}
