//! The operations on cubecl backends, as hand-written WGSL (`shaders/`).

pub(crate) mod attention;
pub(crate) mod deformable;
mod dense;
pub(crate) mod kv;
pub(crate) mod norm;
pub(crate) mod product;
pub(crate) mod region;
mod sample;
mod stem;

use std::cell::Cell;

use burn::backend::DispatchDevice;
use burn::tensor::{DType, Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::prelude::{CubeCount, CubeDim, KernelId};
use burn_cubecl::cubecl::server::{KernelArguments, MetadataBindingInfo};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::template::{KernelSource, SourceKernel, SourceTemplate};
use burn_cubecl::tensor::CubeTensor;

use crate::Features;
use crate::cost::{Cost, Meter};
use crate::ops::QuantOps;

/// A validated shader, as the build script writes it down.
#[derive(Debug)]
pub(crate) struct Shader {
    name: &'static str,
    /// Invocations of a workgroup.
    workgroup: u32,
    /// Results along one side that a workgroup computes.
    tile: u32,
    /// Those that ask for most first. The last asks for nothing.
    variants: &'static [Variant],
}

/// One way to write a shader down.
#[derive(Debug)]
struct Variant {
    /// What the adapter must have.
    features: Features,
    /// The source, file after file.
    parts: &'static [&'static str],
}

impl Shader {
    /// Workgroups of a shader whose threads make a result each.
    fn groups(&self, results: usize) -> u64 {
        (results as u64).div_ceil(u64::from(self.workgroup))
    }

    /// The variant that makes the most of what is used of the adapter.
    fn variant(&self) -> &'static Variant {
        let used = Features::used();
        let fitting = |variant: &&Variant| used.contain(variant.features);
        self.variants
            .iter()
            .find(fitting)
            .unwrap_or(&self.variants[self.variants.len() - 1])
    }

    #[cfg(test)]
    pub fn tile(&self) -> usize {
        self.tile as usize
    }
}

include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

/// Workgroups that WebGPU guarantees along one dimension. Beyond it a browser answers `Ok` with
/// stale memory.
const MAX_GROUPS: u64 = 65_535;

/// Whether the shaders can take a tensor: on a GPU, in single precision, without a graph.
pub(crate) fn fits<const D: usize>(x: &Tensor<D>) -> bool {
    matches!(x.device().as_dispatch(), DispatchDevice::Cube(_)) && x.dtype() == DType::F32
}

#[derive(Clone, Copy)]
struct WgslKernel {
    name: &'static str,
    workgroup: u32,
    variant: &'static Variant,
}

impl WgslKernel {
    fn of(shader: &'static Shader) -> Self {
        Self {
            name: shader.name,
            workgroup: shader.workgroup,
            variant: shader.variant(),
        }
    }
}

impl KernelSource for WgslKernel {
    fn source(&self) -> SourceTemplate {
        let Variant { features, parts } = self.variant;
        SourceTemplate::new(features.directives().to_owned() + &parts.concat())
    }

    // Sizes travel in the info buffer, so the name and what the variant asks for are all that tells two kernels
    // apart.
    fn id(&self) -> KernelId {
        KernelId::new::<Self>()
            .info((self.name, self.variant.features))
            .cube_dim(CubeDim::new_1d(self.workgroup).0)
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

/// The weight of a launch: its buffers and its shape.
struct Weight {
    packed: CubeTensor,
    scales: CubeTensor,
    rows: usize,
    cols: usize,
}

thread_local! {
    /// cubecl, too, has a queue for each thread.
    static METER: Cell<Meter> = const { Cell::new(Meter { ms: 0.0 }) };
}

/// Launches `shader` over `groups` workgroups, numbered over two dimensions. `info` are the words of its
/// uniform; the word at the given index becomes the number of workgroups along x. `operations` are those that
/// count beside the bytes of the buffers.
fn dispatch(
    shader: &'static Shader,
    buffers: &[&CubeTensor],
    (mut info, at): (Vec<u32>, usize),
    groups: u64,
    operations: f64,
) {
    let across = groups.min(MAX_GROUPS);
    let down = groups.div_ceil(MAX_GROUPS);
    assert!(
        down <= MAX_GROUPS,
        "{}: {groups} workgroups are too many for one launch",
        shader.name
    );
    let bytes = buffers.iter().map(|x| x.handle.size_in_used() as f64).sum();
    let mut meter = METER.get();
    if meter.add(Cost { operations, bytes }) {
        // A device that is lost says so when a result is read.
        let _ = buffers[0].client.flush();
    }
    METER.set(meter);
    info[at] = across as u32;
    let pairs = info.chunks(2).map(|words| {
        let word = |i: usize| u64::from(words.get(i).copied().unwrap_or(0));
        word(0) | word(1) << 32
    });
    let bindings = buffers.iter().map(|x| x.handle.clone().binding());
    let arguments = KernelArguments::new()
        .with_buffers(bindings.collect())
        .with_info(MetadataBindingInfo::custom(pairs.collect()));
    let dim = CubeDim::new_1d(shader.workgroup);
    buffers[0].client.launch(
        Box::new(SourceKernel::new(WgslKernel::of(shader), dim)),
        CubeCount::Static(across as u32, down as u32, 1),
        arguments,
    );
}

/// [`dispatch`] with a new tensor as the last buffer, which is returned.
fn run(
    shader: &'static Shader,
    inputs: Vec<CubeTensor>,
    output: Shape,
    info: (Vec<u32>, usize),
    groups: u64,
    operations: f64,
) -> CubeTensor {
    let elements: u64 = output.iter().map(|d| *d as u64).product();
    assert!(
        elements <= u64::from(u32::MAX),
        "{}: a result of {output:?} is too large for one launch",
        shader.name
    );
    let (client, device) = (inputs[0].client.clone(), inputs[0].device.clone());
    let output = empty_device_contiguous_dtype(client, device, output, DType::F32);
    let buffers: Vec<&CubeTensor> = inputs.iter().chain([&output]).collect();
    dispatch(shader, &buffers, info, groups, operations);
    output
}

/// A tensor that nothing else reads, to be written in place.
fn owned(x: CubeTensor) -> CubeTensor {
    let x = into_contiguous(x);
    if x.can_mut() { x } else { x.copy() }
}

/// A tensor of four dimensions whose last is dense.
fn dense(x: CubeTensor) -> CubeTensor {
    match x.meta.strides()[3] == 1 || x.meta.shape()[3] == 1 {
        true => x,
        false => into_contiguous(x),
    }
}

/// Strides of the first three dimensions, zero along those that are repeated, and `last`.
fn strides(x: &CubeTensor, last: usize) -> [u32; 4] {
    let along = |d: usize| match x.meta.shape()[d] {
        1 => 0,
        _ => x.meta.strides()[d] as u32,
    };
    [along(0), along(1), along(2), last as u32]
}

/// Launches a shader over a packed weight; the result is `[tokens, width]`.
fn launch(
    shader: &'static Shader,
    weight: Weight,
    input: CubeTensor,
    [tokens, width]: [usize; 2],
    groups: u64,
) -> CubeTensor {
    let word = |n: usize| n as u32;
    let mut info = vec![word(tokens), word(weight.rows), word(weight.cols), 0];
    // As many as any of these shaders has.
    info.resize(8, 0);
    let inputs = vec![weight.packed, weight.scales, into_contiguous(input)];
    run(
        shader,
        inputs,
        Shape::new([tokens, width]),
        (info, 3),
        groups,
        2.0 * tokens as f64 * width as f64 * weight.cols as f64,
    )
}

/// For the few tokens of a decoding step; more go through [`product::linear`].
fn matvec(shader: &'static Shader, x: CubeTensor, weight: Weight) -> CubeTensor {
    let tokens = x.meta.shape()[0];
    let rows = weight.rows;
    let groups = rows.div_ceil(shader.tile as usize) as u64 * tokens as u64;
    launch(shader, weight, x, [tokens, rows], groups)
}

fn gather(shader: &'static Shader, ids: CubeTensor, weight: Weight) -> CubeTensor {
    let tokens = ids.meta.shape()[0];
    let cols = weight.cols;
    let groups = shader.groups(tokens * cols);
    launch(shader, weight, ids, [tokens, cols], groups)
}

impl QuantOps for CubeBackend {
    fn matmul_q8(
        x: CubeTensor,
        packed: CubeTensor,
        scales: CubeTensor,
        rows: usize,
        cols: usize,
    ) -> CubeTensor {
        matvec(
            &MATVEC_Q8,
            x,
            Weight {
                packed,
                scales,
                rows,
                cols,
            },
        )
    }

    fn matmul_q4(
        x: CubeTensor,
        packed: CubeTensor,
        scales: CubeTensor,
        rows: usize,
        cols: usize,
    ) -> CubeTensor {
        matvec(
            &MATVEC_Q4,
            x,
            Weight {
                packed,
                scales,
                rows,
                cols,
            },
        )
    }

    fn gather_q8(
        packed: CubeTensor,
        scales: CubeTensor,
        ids: CubeTensor,
        rows: usize,
        cols: usize,
    ) -> CubeTensor {
        gather(
            &GATHER_Q8,
            ids,
            Weight {
                packed,
                scales,
                rows,
                cols,
            },
        )
    }

    fn gather_q4(
        packed: CubeTensor,
        scales: CubeTensor,
        ids: CubeTensor,
        rows: usize,
        cols: usize,
    ) -> CubeTensor {
        gather(
            &GATHER_Q4,
            ids,
            Weight {
                packed,
                scales,
                rows,
                cols,
            },
        )
    }
}
