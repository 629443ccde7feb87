//! The validated shaders, and everything else that the build script writes about them: their parameter structs and the
//! constants of `shaders/shared/host.wgsl`.

use std::marker::PhantomData;

use crate::features::Features;

/// A shader whose parameters are a `P`.
#[derive(Debug)]
pub(crate) struct Shader<P> {
    pub source: Source,
    params: PhantomData<P>,
}

impl<P> Shader<P> {
    const fn new(source: Source) -> Self {
        Self {
            source,
            params: PhantomData,
        }
    }

    /// Results along one side that a workgroup computes.
    pub fn tile(&self) -> usize {
        self.source.tile as usize
    }

    /// Workgroups of a shader whose threads compute one result each.
    pub fn groups(&self, n_results: usize) -> u64 {
        (n_results as u64).div_ceil(u64::from(self.source.workgroup))
    }
}

/// A shader without the type of its parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub name: &'static str,
    /// Threads of a workgroup.
    pub workgroup: u32,
    tile: u32,
    /// Those with the most features first. The last needs none.
    variants: &'static [Variant],
}

impl Source {
    /// The variant that uses most of the enabled features.
    pub fn variant(&self) -> &'static Variant {
        let enabled = Features::enabled();
        let fits = |variant: &&Variant| enabled.contains(variant.features);
        self.variants
            .iter()
            .find(fits)
            .unwrap_or(&self.variants[self.variants.len() - 1])
    }
}

/// The text of a shader for a set of features.
#[derive(Debug)]
pub(crate) struct Variant {
    /// What the adapter must have.
    pub features: Features,
    /// The source, file after file.
    pub parts: &'static [&'static str],
}

/// A parameter struct of WGSL. Its fields have the names and the order of the WGSL struct; `groups_x` is left to the
/// launcher.
pub(crate) trait Params {
    /// The words of the uniform buffer, a multiple of four.
    fn words(&self, groups_x: u32) -> Vec<u32>;
}

include!(concat!(env!("OUT_DIR"), "/shaders.rs"));
