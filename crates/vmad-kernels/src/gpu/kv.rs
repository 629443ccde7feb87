//! The cache of keys and values on cubecl backends.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Dispatch, backend_extension};
use burn::tensor::{DType, Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

use super::{ROPE_APPEND, dispatch, owned};

/// The operation as cubecl backends implement it.
#[backend_extension(Cube)]
pub(crate) trait KvOps: burn::backend::Backend {
    fn rope_append(
        qkv: FloatTensor<Self>,
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
/// - qkv: `[batch, n, n_heads + 2 · n_kv_heads, d_head]`
/// - angles: `[positions, d_head]`
/// - keys, values: `[batch, n_kv_heads, capacity, d_head]`
/// - output: q, `[batch, n, n_heads, d_head]`, keys, values
pub(crate) fn rope_append(
    qkv: Tensor<4>,
    angles: Tensor<2>,
    [keys, values]: [Tensor<4>; 2],
    start: usize,
) -> [Tensor<4>; 3] {
    let [qkv, keys, values] = [qkv, keys, values].map(Tensor::into_dispatch);
    let angles = angles.into_dispatch();
    let (q, keys, values) = <Dispatch as KvOps>::rope_append(qkv, angles, keys, values, start);
    [q, keys, values].map(Tensor::from_dispatch)
}

impl KvOps for CubeBackend {
    fn rope_append(
        qkv: CubeTensor,
        angles: CubeTensor,
        keys: CubeTensor,
        values: CubeTensor,
        start: usize,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let qkv = into_contiguous(qkv);
        let (keys, values, angles) = (owned(keys), owned(values), into_contiguous(angles));
        let shape = qkv.meta.shape().clone();
        let (batch, n, all, half) = (shape[0], shape[1], shape[2], shape[3] / 2);
        let (n_kv_heads, capacity) = (keys.meta.shape()[1], keys.meta.shape()[2]);
        let n_heads = all - 2 * n_kv_heads;
        assert!(
            start + n <= capacity && start + n <= angles.meta.shape()[0],
            "rope_append: no room for {n} positions after {start} in {capacity}"
        );
        let word = |n: usize| n as u32;
        let info = vec![
            word(batch),
            word(n),
            word(n_heads),
            0,
            word(n_kv_heads),
            word(half),
            word(capacity),
            word(start),
        ];
        let (client, device) = (qkv.client.clone(), qkv.device.clone());
        let shape = Shape::new([batch, n, n_heads, 2 * half]);
        let out = empty_device_contiguous_dtype(client, device, shape, DType::F32);
        let threads = batch * n * all * half;
        let groups = ROPE_APPEND.groups(threads);
        let buffers = [&qkv, &angles, &keys, &values, &out];
        dispatch(&ROPE_APPEND, &buffers, (info, 3), groups, 0.0);
        (out, keys, values)
    }
}
