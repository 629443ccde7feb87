//! Optional features of adapters, and which of them launches use.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

/// Optional features of a graphics adapter for which shaders have variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Features {
    /// Sums over the threads of a subgroup without workgroup memory: WebGPU's `subgroups`.
    pub subgroups: bool,
    /// Dot products of four bytes in one instruction: WebGPU's `packed_4x8_integer_dot_product`. Products of many tokens
    /// then round their inputs to 16 bits, relative to the largest of their block.
    pub packed: bool,
    /// Half precision: WebGPU's `shader-f16`. Products of many tokens then round inputs and weights to 11 bits.
    pub f16: bool,
}

/// The features that launches use, as [`Features::bits`].
static ENABLED: AtomicU8 = AtomicU8::new(0);

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

    /// The features that launches use: none until an adapter is set up.
    #[must_use]
    pub fn enabled() -> Self {
        Self::of_bits(ENABLED.load(Ordering::Relaxed))
    }

    /// Makes launches of this process use these features, which the adapter must have.
    pub fn enable(self) {
        ENABLED.store(self.bits(), Ordering::Relaxed);
    }

    /// Without the features under which products round their inputs.
    #[must_use]
    pub fn exact(self) -> Self {
        Self {
            packed: false,
            f16: false,
            ..self
        }
    }

    /// The relative rounding error of an input of a product of many tokens, relative to the largest of its block; 0 in single
    /// precision.
    #[must_use]
    pub fn rounding(self) -> f32 {
        match self {
            Self { f16: true, .. } => 1.0 / 2048.0,
            Self { packed: true, .. } => 1.0 / 65536.0,
            _ => 0.0,
        }
    }

    /// Whether these features include all of `others`.
    #[cfg(feature = "wgpu")]
    pub(crate) fn contains(self, others: Self) -> bool {
        others.bits() & !self.bits() == 0
    }

    /// The directives of a shader that uses these features. naga supports subgroups without a directive and rejects it.
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
