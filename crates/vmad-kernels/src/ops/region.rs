//! Attention of coarse cells to the fine ones that they cover (TokenPacker, Li et al. 2024).

#[cfg(feature = "wgpu")]
use burn::backend::Dispatch;
use burn::tensor::Tensor;

use super::attention::attention;
#[cfg(feature = "wgpu")]
use crate::backend::RegionOps;
use crate::route::Route;
use crate::types::Mask;

/// Each coarse cell's query attends to the keys of its `stride`² fine cells, head by head. Both grids are
/// squares, row after row.
///
/// On GPUs one launch (`shaders/region_attention.wgsl`) that reads the fine cells in place; elsewhere burn's operations,
/// which can be differentiated.
///
/// # Shapes
/// - q, output: `[batch, (side / stride)², d]`
/// - k, v: `[batch, side², d]`
///
/// # Panics
/// Like every operation in burn, when the shapes do not fit.
#[must_use]
pub fn region_attention([q, k, v]: [Tensor<3>; 3], n_heads: usize, stride: usize) -> Tensor<3> {
    let ([_, n_regions, _], [_, n_cells, _]) = (q.dims(), k.dims());
    assert!(
        n_cells.isqrt().pow(2) == n_cells && n_regions * stride * stride == n_cells,
        "region_attention: {n_regions} queries over {n_cells} cells, {stride}² each"
    );
    assert_eq!(k.dims(), v.dims(), "region_attention: keys and values");
    match Route::region_attention(&q, n_heads) {
        #[cfg(feature = "wgpu")]
        Route::Tile => {
            let [q, k, v] = [q, k, v].map(Tensor::into_dispatch);
            Tensor::from_dispatch(<Dispatch as RegionOps>::region_attention(
                q, k, v, n_heads, stride,
            ))
        }
        _ => composed([q, k, v], n_heads, stride),
    }
}

fn composed([q, k, v]: [Tensor<3>; 3], n_heads: usize, stride: usize) -> Tensor<3> {
    let ([batch, n_regions, d], [_, n_cells, _]) = (q.dims(), k.dims());
    let (n, d_head, area) = (batch * n_regions, d / n_heads, stride * stride);
    let regions = |x: Tensor<3>| {
        let side = n_cells.isqrt() / stride;
        x.reshape([batch, side, stride, side, stride, d])
            .swap_dims(2, 3) // [batch, row, column, row in region, column in region, d]
            .reshape([n, area, n_heads, d_head])
            .swap_dims(1, 2)
    };
    let q = q.reshape([n, n_heads, 1, d_head]);
    attention(q, regions(k), regions(v), Mask::None).reshape([batch, n_regions, d])
}
