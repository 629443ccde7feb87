//! f32 products and convolutions on cubecl backends.

use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{run, word};
use super::shaders::{CONV2D, Conv2dParams, MATMUL_F32, MatmulF32Params, MatrixStrides};
use crate::backend::DenseOps;
use crate::types::Conv2dOptions;

/// Dimensions of a product: outer batch, inner batch, rows, columns.
const RANK: usize = 4;

/// The sizes of a tensor, with ones in front, and its strides, zero along broadcast batch dimensions.
fn last_four(x: &CubeTensor) -> ([usize; RANK], MatrixStrides) {
    let (shape, strides) = (x.meta.shape(), x.meta.strides());
    let rank = shape.len();
    assert!(
        (2..=RANK).contains(&rank),
        "matmul_f32: {rank} dimensions, two to four are possible"
    );
    let of = |i: usize| (i + rank).checked_sub(RANK);
    let size = |i: usize| of(i).map_or(1, |d| shape[d]);
    let stride = |i: usize| match of(i) {
        Some(d) if shape[d] > 1 => strides[d] as u32,
        // Rows and columns of size 1 count as dense, which only affects the order of the loads.
        _ => u32::from(i >= RANK - 2),
    };
    let batch = |i: usize| if size(i) == 1 { 0 } else { stride(i) };
    let strides = MatrixStrides {
        outer: batch(0),
        inner: batch(1),
        row: stride(2),
        col: stride(3),
    };
    (std::array::from_fn(size), strides)
}

/// Whether two tensors share a buffer, which WebGPU refuses to bind twice.
fn share_memory(a: &CubeTensor, b: &CubeTensor) -> bool {
    let id = |x: &CubeTensor| x.handle.clone().binding().memory.id();
    id(a) == id(b)
}

impl DenseOps for CubeBackend {
    fn matmul_f32(a: CubeTensor, b: CubeTensor) -> CubeTensor {
        let b = if share_memory(&a, &b) { b.copy() } else { b };
        let (a_sizes, a_strides) = last_four(&a);
        let (b_sizes, b_strides) = last_four(&b);
        let [_, _, rows, depth] = a_sizes;
        let [_, _, _, columns] = b_sizes;
        let batches: [usize; 2] = std::array::from_fn(|i| a_sizes[i].max(b_sizes[i]));
        let fits = |sizes: [usize; RANK]| (0..2).all(|i| [1, batches[i]].contains(&sizes[i]));
        assert!(
            depth == b_sizes[2] && fits(a_sizes) && fits(b_sizes),
            "matmul_f32: {:?} · {:?}",
            a.meta.shape(),
            b.meta.shape()
        );
        let mut output = a.meta.shape().clone();
        let rank = output.len();
        output[rank - 1] = columns;
        for (at, size) in batches.iter().enumerate() {
            if let Some(d) = (at + rank).checked_sub(RANK) {
                output[d] = *size;
            }
        }
        let params = MatmulF32Params {
            n_rows: word(rows),
            n_cols: word(columns),
            depth: word(depth),
            n_outer: word(batches[0]),
            n_inner: word(batches[1]),
            a_strides,
            b_strides,
        };
        let tiles = |n: usize| n.div_ceil(MATMUL_F32.tile());
        let n_batches = batches[0] * batches[1];
        let groups = (n_batches * tiles(rows) * tiles(columns)) as u64;
        let operations = 2.0 * (n_batches * rows * columns) as f64 * depth as f64;
        run(&MATMUL_F32, &[a, b], output, &params, groups, operations)
    }

    fn conv2d_f32(
        x: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        with_bias: bool,
        options: Conv2dOptions,
    ) -> CubeTensor {
        let Conv2dOptions {
            stride,
            padding,
            groups,
        } = options;
        let (x, weight) = (into_contiguous(x), into_contiguous(weight));
        let (image, kernels) = (x.meta.shape().clone(), weight.meta.shape().clone());
        let (batch, c_in, c_out, kernel) = (image[0], image[1], kernels[0], kernels[2]);
        assert!(
            kernels[1] * groups == c_in && c_out.is_multiple_of(groups) && kernels[3] == kernel,
            "conv2d: {kernels:?} in {groups} groups over {image:?}"
        );
        let along = |size: usize| {
            let padded = size + 2 * padding;
            assert!(
                padded >= kernel,
                "conv2d: {kernels:?} over {image:?} with padding {padding}"
            );
            (padded - kernel) / stride + 1
        };
        let (height, width) = (along(image[2]), along(image[3]));
        let params = Conv2dParams {
            batch: word(batch),
            c_in: word(c_in),
            c_out: word(c_out),
            height_in: word(image[2]),
            width_in: word(image[3]),
            height_out: word(height),
            width_out: word(width),
            kernel_size: word(kernel),
            stride: word(stride),
            padding: word(padding),
            n_groups: word(groups),
            has_bias: with_bias.into(),
        };
        let fours = (c_out / groups).div_ceil(4) * groups;
        let n_pixels = height * width;
        let groups = (batch * fours) as u64 * CONV2D.groups(n_pixels);
        let results = (batch * fours * 4 * n_pixels) as f64;
        let operations = 2.0 * results * (kernels[1] * kernel * kernel) as f64;
        run(
            &CONV2D,
            &[x, weight, into_contiguous(bias)],
            Shape::new([batch, c_out, height, width]),
            &params,
            groups,
            operations,
        )
    }
}
