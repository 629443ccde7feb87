//! The cache of keys and values on cubecl backends.

use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{dispatch, empty, owned, word};
use super::shaders::{ROPE_APPEND, RopeAppendParams};
use crate::backend::KvOps;

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
        let params = RopeAppendParams {
            batch: word(batch),
            n_tokens: word(n),
            n_heads: word(n_heads),
            n_kv_heads: word(n_kv_heads),
            half_head: word(half),
            capacity: word(capacity),
            start: word(start),
        };
        let shape = Shape::new([batch, n, n_heads, 2 * half]);
        let out = empty(&qkv, shape, DType::F32);
        let groups = ROPE_APPEND.groups(batch * n * all * half);
        let buffers = [&qkv, &angles, &keys, &values, &out];
        dispatch(&ROPE_APPEND, &buffers, &params, groups, 0.0);
        (out, keys, values)
    }
}
