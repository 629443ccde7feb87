//! The cache of keys and values on cubecl backends.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Dispatch, backend_extension};
use burn::tensor::{DType, Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

use super::{ROPE_APPEND, dense, dispatch, strides};

/// The operation as cubecl backends implement it.
#[backend_extension(Cube)]
pub(crate) trait KvOps: burn::backend::Backend {
    fn rope_append(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        angles: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        start: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// Turns queries and keys by their positions and writes keys and values behind the first `start`
/// positions of the cache: in place, unless something else holds it.
///
/// # Shapes
/// - q: `[batch, n, n_heads, d_head]`; k, v: `[batch, n, n_kv_heads, d_head]`
/// - angles: `[positions, d_head]`
/// - keys, values: `[batch, n_kv_heads, capacity, d_head]`
/// - output: q, keys, values
pub(crate) fn rope_append(
    [q, k, v]: [Tensor<4>; 3],
    angles: Tensor<2>,
    [keys, values]: [Tensor<4>; 2],
    start: usize,
) -> [Tensor<4>; 3] {
    let [q, k, v, keys, values] = [q, k, v, keys, values].map(Tensor::into_dispatch);
    let angles = angles.into_dispatch();
    let (q, keys, values) = <Dispatch as KvOps>::rope_append(q, k, v, angles, keys, values, start);
    [q, keys, values].map(Tensor::from_dispatch)
}

/// A tensor that nothing else reads.
fn owned(x: CubeTensor) -> CubeTensor {
    let x = into_contiguous(x);
    if x.can_mut() { x } else { x.copy() }
}

impl KvOps for CubeBackend {
    fn rope_append(
        q: CubeTensor,
        k: CubeTensor,
        v: CubeTensor,
        angles: CubeTensor,
        keys: CubeTensor,
        values: CubeTensor,
        start: usize,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let [q, k, v] = [q, k, v].map(dense);
        let (keys, values, angles) = (owned(keys), owned(values), into_contiguous(angles));
        let shape = q.meta.shape().clone();
        let (batch, n, n_heads, half) = (shape[0], shape[1], shape[2], shape[3] / 2);
        let (n_kv_heads, capacity) = (keys.meta.shape()[1], keys.meta.shape()[2]);
        assert!(
            start + n <= capacity && start + n <= angles.meta.shape()[0],
            "rope_append: no room for {n} positions after {start} in {capacity}"
        );
        let word = |n: usize| n as u32;
        let mut info = vec![
            word(batch),
            word(n),
            word(n_heads),
            0,
            word(n_kv_heads),
            word(half),
            word(capacity),
            word(start),
        ];
        for x in [&q, &k, &v] {
            info.extend(strides(x, 0));
        }
        let (client, device) = (q.client.clone(), q.device.clone());
        let shape = Shape::new([batch, n, n_heads, 2 * half]);
        let out = empty_device_contiguous_dtype(client, device, shape, DType::F32);
        let threads = batch * n * (n_heads + 2 * n_kv_heads) * half;
        let groups = threads.div_ceil(ROPE_APPEND.workgroup as usize) as u64;
        let buffers = [&q, &k, &v, &angles, &keys, &values, &out];
        dispatch(&ROPE_APPEND, &buffers, (info, 3), groups);
        (out, keys, values)
    }
}
