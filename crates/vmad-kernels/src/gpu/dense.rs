//! Products and convolutions of floats on cubecl backends.

use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{CONV2D, MATMUL_F32, run};
use crate::Stepping;
use crate::dense::DenseOps;

/// Dimensions of a product: two of batches, rows, columns.
const RANK: usize = 4;

/// Sizes and strides with ones and zeros in front; a stride is zero along what is repeated.
fn last_four(x: &CubeTensor) -> ([usize; RANK], [u32; RANK]) {
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
        // Rows and columns count as dense, which only orders the loads.
        _ => u32::from(i >= RANK - 2),
    };
    let batch = |i: usize| if size(i) == 1 { 0 } else { stride(i) };
    (
        std::array::from_fn(size),
        [batch(0), batch(1), stride(2), stride(3)],
    )
}

/// Whether two tensors lie in the same memory: WebGPU refuses to bind it twice.
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
        let word = |n: usize| n as u32;
        let info = [
            [word(rows), word(columns), word(depth), 0],
            [word(batches[0]), word(batches[1]), 0, 0],
            a_strides,
            b_strides,
        ]
        .concat();
        let tiles = |n: usize| n.div_ceil(MATMUL_F32.tile as usize);
        let n_batches = batches[0] * batches[1];
        let groups = (n_batches * tiles(rows) * tiles(columns)) as u64;
        let operations = 2.0 * (n_batches * rows * columns) as f64 * depth as f64;
        run(
            &MATMUL_F32,
            vec![a, b],
            output,
            (info, 3),
            groups,
            operations,
        )
    }

    fn conv2d_f32(
        x: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        with_bias: bool,
        stepping: Stepping,
    ) -> CubeTensor {
        let Stepping {
            stride,
            padding,
            groups,
        } = stepping;
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
                "conv2d: {kernels:?} over {image:?} with {padding} zeros around"
            );
            (padded - kernel) / stride + 1
        };
        let (height, width) = (along(image[2]), along(image[3]));
        let word = |n: usize| n as u32;
        let info = [
            [word(batch), word(c_in), word(c_out), 0],
            [word(image[2]), word(image[3]), word(height), word(width)],
            [word(kernel), word(stride), word(padding), word(groups)],
            [u32::from(with_bias), 0, 0, 0],
        ]
        .concat();
        let fours = (c_out / groups).div_ceil(4) * groups;
        let n_pixels = height * width;
        let n_groups = batch * fours * n_pixels.div_ceil(CONV2D.workgroup as usize);
        let results = (batch * fours * 4 * n_pixels) as f64;
        let operations = 2.0 * results * (c_in / groups * kernel * kernel) as f64;
        run(
            &CONV2D,
            vec![x, weight, into_contiguous(bias)],
            Shape::new([batch, c_out, height, width]),
            (info, 3),
            n_groups as u64,
            operations,
        )
    }
}
