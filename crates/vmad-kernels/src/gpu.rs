//! The operations on cubecl backends, as hand-written WGSL (`shaders/`).

use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::prelude::{CubeCount, CubeDim, KernelId};
use burn_cubecl::cubecl::server::{KernelArguments, MetadataBindingInfo};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::template::{KernelSource, SourceKernel, SourceTemplate};
use burn_cubecl::tensor::CubeTensor;

use crate::ops::QuantOps;

/// A validated shader, as the build script writes it down.
#[derive(Debug)]
pub(crate) struct Shader {
    name: &'static str,
    /// Invocations of a workgroup.
    workgroup: u32,
    /// Results along one side that a workgroup computes.
    tile: u32,
    source: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

/// Up to this many tokens a product streams the weights through `matvec_*`; the tile of `matmul_*`
/// would be mostly empty.
const MATVEC_TOKENS: usize = 4;

/// Workgroups that WebGPU guarantees along one dimension. Beyond it a browser answers `Ok` with
/// stale memory.
const MAX_GROUPS: u64 = 65_535;

#[derive(Clone, Copy)]
struct WgslKernel(&'static Shader);

impl KernelSource for WgslKernel {
    fn source(&self) -> SourceTemplate {
        SourceTemplate::new(self.0.source)
    }

    // Sizes travel in the info buffer, so the name is all that tells two kernels apart.
    fn id(&self) -> KernelId {
        KernelId::new::<Self>()
            .info(self.0.name)
            .cube_dim(CubeDim::new_1d(self.0.workgroup).0)
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

/// Launches `shader` over `groups` workgroups; the result is `[tokens, width]`.
fn launch(
    shader: &'static Shader,
    weight: Weight,
    input: CubeTensor,
    [tokens, width]: [usize; 2],
    groups: u64,
) -> CubeTensor {
    let across = groups.min(MAX_GROUPS);
    let down = groups.div_ceil(MAX_GROUPS);
    assert!(
        down <= MAX_GROUPS && (tokens as u64) * (width as u64) <= u64::from(u32::MAX),
        "{}: a result of {tokens}×{width} is too large for one launch",
        shader.name
    );

    let input = into_contiguous(input);
    let output = empty_device_contiguous_dtype(
        input.client.clone(),
        input.device.clone(),
        Shape::new([tokens, width]),
        DType::F32,
    );
    // vec4<u32>(tokens, rows, cols, workgroups along x)
    let info = vec![
        tokens as u64 | (weight.rows as u64) << 32,
        weight.cols as u64 | across << 32,
    ];
    let arguments = KernelArguments::new()
        .with_buffers(vec![
            weight.packed.handle.binding(),
            weight.scales.handle.binding(),
            input.handle.binding(),
            output.handle.clone().binding(),
        ])
        .with_info(MetadataBindingInfo::custom(info));
    output.client.launch(
        Box::new(SourceKernel::new(
            WgslKernel(shader),
            CubeDim::new_1d(shader.workgroup),
        )),
        CubeCount::Static(across as u32, down as u32, 1),
        arguments,
    );
    output
}

fn matmul([matvec, matmul]: [&'static Shader; 2], x: CubeTensor, weight: Weight) -> CubeTensor {
    let tokens = x.meta.shape()[0];
    let rows = weight.rows;
    let (shader, groups_down) = if tokens <= MATVEC_TOKENS {
        (matvec, tokens)
    } else {
        (matmul, tokens.div_ceil(matmul.tile as usize))
    };
    let groups = rows.div_ceil(shader.tile as usize) as u64 * groups_down as u64;
    launch(shader, weight, x, [tokens, rows], groups)
}

fn gather(shader: &'static Shader, ids: CubeTensor, weight: Weight) -> CubeTensor {
    let tokens = ids.meta.shape()[0];
    let cols = weight.cols;
    let groups = (tokens as u64 * cols as u64).div_ceil(u64::from(shader.workgroup));
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
        matmul(
            [&MATVEC_Q8, &MATMUL_Q8],
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
        matmul(
            [&MATVEC_Q4, &MATMUL_Q4],
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
