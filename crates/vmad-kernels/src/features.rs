//! What adapters may have beyond what every one has, and which of it the shaders use.

#[cfg(all(target_family = "wasm", feature = "wgpu"))]
mod browser;

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

#[cfg(all(target_family = "wasm", feature = "wgpu"))]
pub(crate) use browser::Asking;

/// Features of a graphics adapter for which shaders have variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Features {
    /// Sums over the threads that run side by side, without memory between them: WebGPU's `subgroups`.
    pub subgroups: bool,
    /// Products of four bytes with four others in one instruction: WebGPU's `packed_4x8_integer_dot_product`.
    /// Products of many tokens then round their inputs to 16 bits of a block's largest.
    pub packed: bool,
    /// Half precision: WebGPU's `shader-f16`. Products of many tokens then round inputs and weights to 11 bits.
    pub f16: bool,
}

/// Those that launches use, as [`Features::bits`] numbers them.
static USED: AtomicU8 = AtomicU8::new(0);

impl Features {
    /// Nothing beyond what WebGPU guarantees.
    pub const NONE: Self = Self::of_bits(0);

    const fn bits(self) -> u8 {
        self.subgroups as u8 | (self.packed as u8) << 1 | (self.f16 as u8) << 2
    }

    const fn of_bits(bits: u8) -> Self {
        Self {
            subgroups: bits & 1 != 0,
            packed: bits & 2 != 0,
            f16: bits & 4 != 0,
        }
    }

    /// What launches use: nothing until an adapter is set up.
    #[must_use]
    pub fn used() -> Self {
        Self::of_bits(USED.load(Ordering::Relaxed))
    }

    /// Makes launches of this process use these features, which the adapter must have.
    pub fn use_them(self) {
        USED.store(self.bits(), Ordering::Relaxed);
    }

    /// Those under which products are sums in single precision.
    #[must_use]
    pub fn exact(self) -> Self {
        Self {
            packed: false,
            f16: false,
            ..self
        }
    }

    /// What one input of a product of many tokens may be off by, of the largest near it: nothing where it is kept in
    /// single precision.
    #[must_use]
    pub fn rounding(self) -> f32 {
        match self {
            Self { f16: true, .. } => 1.0 / 2048.0,
            Self { packed: true, .. } => 1.0 / 65536.0,
            _ => 0.0,
        }
    }

    /// Whether an adapter that has these features can run what asks for those.
    #[cfg(feature = "wgpu")]
    pub(crate) fn contain(self, asked: Self) -> bool {
        asked.bits() & !self.bits() == 0
    }

    /// What a shader that uses them begins with: naga takes subgroups without, and refuses the directive.
    #[cfg(feature = "wgpu")]
    pub(crate) fn directives(self) -> String {
        let subgroups = self.subgroups && cfg!(target_family = "wasm");
        let named = [
            (subgroups, "enable subgroups;\n"),
            (self.f16, "enable f16;\n"),
        ];
        named
            .iter()
            .filter_map(|(is_used, line)| is_used.then_some(*line))
            .collect()
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [
            (self.subgroups, "subgroups"),
            (self.packed, "packed integer products"),
            (self.f16, "half precision"),
        ];
        let names: Vec<&str> = named
            .iter()
            .filter_map(|(has, name)| has.then_some(*name))
            .collect();
        match names.as_slice() {
            [] => f.write_str("no optional features"),
            names => f.write_str(&names.join(", ")),
        }
    }
}
