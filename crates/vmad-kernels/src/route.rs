//! The implementation that computes an operation. Public functions choose by [`Route`]; backends never choose.

use burn::backend::DispatchDevice;
use burn::tensor::{DType, Tensor};

#[cfg(feature = "wgpu")]
use crate::cost::{self, DECODE_QUERIES, MATVEC_TOKENS};
#[cfg(feature = "wgpu")]
use crate::gpu::{MAX_ATTENTION_WIDTH, MAX_REGION_WIDTH};
use crate::types::Mask;
#[cfg(feature = "wgpu")]
use crate::weight::QuantKind;

/// The implementation of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The shader for the few tokens of a decoding step.
    #[cfg(feature = "wgpu")]
    DecodeStep,
    /// The shader for any number of tokens, or the only shader of the operation.
    #[cfg(feature = "wgpu")]
    Tile,
    /// The CPU backend's implementation.
    CpuLoop,
    /// burn's operations one after the other, which can be differentiated.
    Composed,
}

/// Rows from which on the tile of `linear_f32` is faster than `matmul_f32` and an epilogue by itself.
#[cfg(feature = "wgpu")]
const LINEAR_F32_TOKENS: usize = 32;

impl Route {
    /// A product of `x`, `[tokens, cols]`, with a packed weight.
    pub fn product(x: &Tensor<2>) -> Self {
        let [tokens, _] = x.dims();
        #[cfg(feature = "wgpu")]
        if is_on_gpu(x) && tokens > 0 {
            return match tokens <= MATVEC_TOKENS {
                true => Self::DecodeStep,
                false => Self::Tile,
            };
        }
        Self::cpu_if(is_on_cpu(x) && tokens > 0)
    }

    /// A linear layer with an f32 weight.
    pub fn linear_f32(x: &Tensor<2>, weight: &Tensor<2>) -> Self {
        let [tokens, _] = x.dims();
        #[cfg(feature = "wgpu")]
        if is_on_gpu(x) && is_on_gpu(weight) {
            let [rows, cols] = weight.dims();
            // Counted as int8, which loads a little less.
            let most = cost::max_tokens(QuantKind::Q8, rows, cols);
            return match (LINEAR_F32_TOKENS..=most).contains(&tokens) {
                true => Self::Tile,
                false => Self::Composed,
            };
        }
        Self::cpu_if(is_on_cpu(x) && is_on_cpu(weight) && tokens > 0)
    }

    /// Attention of `q` to keys with values `v`. A bias is supported by the tiled shaders only.
    pub fn attention(q: &Tensor<4>, v: &Tensor<4>, mask: &Mask) -> Self {
        #[cfg(feature = "wgpu")]
        if attention_fits(q, v) {
            let is_step = q.dims()[2] <= DECODE_QUERIES;
            return match mask {
                Mask::None | Mask::Causal { .. } if is_step => Self::DecodeStep,
                _ => Self::Tile,
            };
        }
        let _ = mask;
        Self::cpu_if(is_on_cpu(q) && is_on_cpu(v))
    }

    /// Relative positions of the queries `q`.
    pub fn relative_positions(q: &Tensor<4>) -> Self {
        #[cfg(feature = "wgpu")]
        if attention_fits(q, q) {
            return Self::Tile;
        }
        Self::cpu_if(is_on_cpu(q))
    }

    /// A cache of keys and values; [`Self::Tile`] writes it in place.
    pub fn kv_cache(q: &Tensor<4>, v: &Tensor<4>) -> Self {
        #[cfg(feature = "wgpu")]
        if attention_fits(q, v) {
            return Self::Tile;
        }
        let _ = (q, v);
        Self::Composed
    }

    /// Attention of coarse cells to fine ones.
    pub fn region_attention(q: &Tensor<3>, n_heads: usize) -> Self {
        #[cfg(feature = "wgpu")]
        if is_on_gpu(q) && q.dims()[2] / n_heads <= MAX_REGION_WIDTH as usize {
            return Self::Tile;
        }
        let _ = (q, n_heads);
        Self::Composed
    }

    /// Deformable attention.
    pub fn deformable_attention(value: &Tensor<3>, offsets: &Tensor<3>) -> Self {
        #[cfg(feature = "wgpu")]
        if is_on_gpu(value) && is_on_gpu(offsets) {
            return Self::Tile;
        }
        let _ = (value, offsets);
        Self::Composed
    }

    /// A norm over rows or channels.
    pub fn norm<const D: usize>(x: &Tensor<D>) -> Self {
        #[cfg(feature = "wgpu")]
        if is_on_gpu(x) {
            return Self::Tile;
        }
        let _ = x;
        Self::Composed
    }

    /// An activation by itself.
    pub fn activation<const D: usize>(x: &Tensor<D>) -> Self {
        Self::cpu_if(is_on_cpu(x))
    }

    /// An operation of a stem. In a browser it is never composed: all tensors there are f32 on one of the two backends,
    /// and nothing is differentiated.
    pub fn stem<const D: usize>(x: &Tensor<D>) -> Self {
        #[cfg(feature = "wgpu")]
        if is_on_gpu(x) {
            return Self::Tile;
        }
        Self::cpu_if(cfg!(target_family = "wasm") || is_on_cpu(x))
    }

    /// An f32 product or convolution of two tensors. On the CPU backend [`Self::CpuLoop`] is burn's own loop, without a
    /// graph; a browser has no other backend.
    pub fn dense<const D: usize>(a: &Tensor<D>, b: &Tensor<D>) -> Self {
        #[cfg(feature = "wgpu")]
        if is_on_gpu(a) && is_on_gpu(b) {
            return Self::Tile;
        }
        let is_flex = |x: &Tensor<D>| matches!(x.device().as_dispatch(), DispatchDevice::Flex(_));
        Self::cpu_if(cfg!(target_family = "wasm") || is_flex(a) && is_flex(b))
    }

    /// Whether this is the shader for the few rows of a decoding step.
    pub fn is_decode_step(self) -> bool {
        match self {
            #[cfg(feature = "wgpu")]
            Self::DecodeStep => true,
            _ => false,
        }
    }

    fn cpu_if(fits: bool) -> Self {
        match fits {
            true => Self::CpuLoop,
            false => Self::Composed,
        }
    }
}

/// Whether the shaders support a tensor: on a GPU, f32, without a graph.
#[cfg(feature = "wgpu")]
fn is_on_gpu<const D: usize>(x: &Tensor<D>) -> bool {
    matches!(x.device().as_dispatch(), DispatchDevice::Cube(_)) && x.dtype() == DType::F32
}

/// Whether the loops of `cpu/` support a tensor: on the CPU backend, f32, without a graph.
fn is_on_cpu<const D: usize>(x: &Tensor<D>) -> bool {
    matches!(x.device().as_dispatch(), DispatchDevice::Flex(_)) && x.dtype() == DType::F32
}

/// Whether the attention shaders support queries and values.
#[cfg(feature = "wgpu")]
fn attention_fits(q: &Tensor<4>, v: &Tensor<4>) -> bool {
    let [.., d_head] = q.dims();
    let [.., d_value] = v.dims();
    is_on_gpu(q) && d_head <= MAX_ATTENTION_WIDTH && d_value <= MAX_ATTENTION_WIDTH
}
