//! Launches of shaders.

use std::cell::Cell;

use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::prelude::{CubeCount, CubeDim, KernelId};
use burn_cubecl::cubecl::server::{KernelArguments, MetadataBindingInfo};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::template::{KernelSource, SourceKernel, SourceTemplate};
use burn_cubecl::tensor::CubeTensor;

use super::shaders::{Params, Shader, Source, Variant};
use crate::cost::{Cost, SubmissionMeter};

/// Workgroups that WebGPU guarantees along one dimension. With more, a browser reports success and leaves the result
/// buffer unwritten.
const MAX_GROUPS: u64 = 65_535;

#[derive(Clone, Copy)]
struct WgslKernel {
    name: &'static str,
    workgroup: u32,
    variant: &'static Variant,
}

impl KernelSource for WgslKernel {
    fn source(&self) -> SourceTemplate {
        let Variant { features, parts } = self.variant;
        SourceTemplate::new(features.directives().to_owned() + &parts.concat())
    }

    // Sizes are parameters, so the name and the features of the variant identify a pipeline.
    fn id(&self) -> KernelId {
        KernelId::new::<Self>()
            .info((self.name, self.variant.features))
            .cube_dim(CubeDim::new_1d(self.workgroup).0)
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

thread_local! {
    /// Per thread, as cubecl's queues.
    static METER: Cell<SubmissionMeter> = const { Cell::new(SubmissionMeter { ms: 0.0 }) };
}

/// Launches `shader` over `groups` workgroups, numbered over two dimensions. `operations` is the arithmetic cost of the
/// launch; its memory cost are the bytes of the buffers.
pub(super) fn dispatch<P: Params>(
    shader: &'static Shader<P>,
    buffers: &[&CubeTensor],
    params: &P,
    groups: u64,
    operations: f64,
) {
    let groups_x = groups.min(MAX_GROUPS) as u32;
    let words = params.words(groups_x);
    dispatch_words(&shader.source, buffers, &words, groups, operations);
}

fn dispatch_words(
    source: &Source,
    buffers: &[&CubeTensor],
    words: &[u32],
    groups: u64,
    operations: f64,
) {
    let across = groups.min(MAX_GROUPS);
    let down = groups.div_ceil(MAX_GROUPS);
    assert!(
        down <= MAX_GROUPS,
        "{}: {groups} workgroups are too many for one launch",
        source.name
    );
    let bytes = buffers.iter().map(|x| x.handle.size_in_used() as f64).sum();
    let mut meter = METER.get();
    if meter.add(Cost { operations, bytes }) {
        // A lost device is reported when a result is read.
        let _ = buffers[0].client.flush();
    }
    METER.set(meter);
    let pairs = words.as_chunks::<2>().0.iter();
    let pairs = pairs.map(|[low, high]| u64::from(*low) | u64::from(*high) << 32);
    let bindings = buffers.iter().map(|x| x.handle.clone().binding());
    let arguments = KernelArguments::new()
        .with_buffers(bindings.collect())
        .with_info(MetadataBindingInfo::custom(pairs.collect()));
    let kernel = WgslKernel {
        name: source.name,
        workgroup: source.workgroup,
        variant: source.variant(),
    };
    let dim = CubeDim::new_1d(source.workgroup);
    buffers[0].client.launch(
        Box::new(SourceKernel::new(kernel, dim)),
        CubeCount::Static(across as u32, down as u32, 1),
        arguments,
    );
}

/// [`dispatch`] with a new f32 tensor as the last buffer, which is returned.
pub(super) fn run<P: Params>(
    shader: &'static Shader<P>,
    inputs: &[CubeTensor],
    output: Shape,
    params: &P,
    groups: u64,
    operations: f64,
) -> CubeTensor {
    let groups_x = groups.min(MAX_GROUPS) as u32;
    let words = params.words(groups_x);
    run_words(&shader.source, inputs, output, &words, groups, operations)
}

fn run_words(
    source: &Source,
    inputs: &[CubeTensor],
    output: Shape,
    words: &[u32],
    groups: u64,
    operations: f64,
) -> CubeTensor {
    let elements: u64 = output.iter().map(|d| *d as u64).product();
    assert!(
        elements <= u64::from(u32::MAX),
        "{}: a result of {output:?} is too large for one launch",
        source.name
    );
    let output = empty(&inputs[0], output, DType::F32);
    let buffers: Vec<&CubeTensor> = inputs.iter().chain([&output]).collect();
    dispatch_words(source, &buffers, words, groups, operations);
    output
}

/// An uninitialised tensor on the device of another.
pub(super) fn empty(like: &CubeTensor, shape: Shape, dtype: DType) -> CubeTensor {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), shape, dtype)
}

/// A tensor that shares its buffer with no other, so that it can be written in place.
pub(super) fn owned(x: CubeTensor) -> CubeTensor {
    let x = into_contiguous(x);
    if x.can_mut() { x } else { x.copy() }
}

/// A size or stride as WGSL counts it.
pub(super) fn word(n: usize) -> u32 {
    n as u32
}
