//! The operations as burn backends implement them: `gpu/` for cubecl, `cpu/` for Flex. The public functions in `ops/`
//! check shapes, choose a route and call these; an implementation never calls back.

use burn::backend::backend_extension;
use burn::backend::tensor::{FloatTensor, IntTensor};

use crate::types::{
    Activation, Conv2dOptions, Draw, EpilogueFlags, Fusion, QuantLayout, Visibility,
};

/// Products with weights, and embedding look-ups.
///
/// # Shapes
/// - x: `[tokens, cols]`
/// - bias: `[rows]`, residual: `[tokens, rows]`; a tensor of any size where the flags say that there is none
#[backend_extension(Cube: cfg(feature = "wgpu"), Flex)]
pub(crate) trait LinearOps: burn::backend::Backend {
    /// x · dequant(W)ᵀ, on cubecl backends for the few tokens of a decoding step.
    fn matvec_quant(
        x: FloatTensor<Self>,
        packed: IntTensor<Self>,
        scales: IntTensor<Self>,
        weight: QuantLayout,
    ) -> FloatTensor<Self>;
    /// [`Self::matvec_quant`] with a fusion. `extra` holds the weights of the norm, `[1, cols]`, or the residual,
    /// `[tokens, rows]`.
    fn matvec_fused(
        x: FloatTensor<Self>,
        packed: IntTensor<Self>,
        scales: IntTensor<Self>,
        extra: FloatTensor<Self>,
        fusion: Fusion,
        weight: QuantLayout,
    ) -> FloatTensor<Self>;
    /// A linear layer with a packed weight.
    fn linear_quant(
        x: FloatTensor<Self>,
        packed: IntTensor<Self>,
        scales: IntTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        flags: EpilogueFlags,
        weight: QuantLayout,
    ) -> FloatTensor<Self>;
    /// A linear layer with an f32 weight, `[rows, cols]`.
    fn linear_f32(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        flags: EpilogueFlags,
    ) -> FloatTensor<Self>;
    /// Rows of dequant(W), `[tokens, cols]`, for ids `[tokens]`.
    fn gather_quant(
        packed: IntTensor<Self>,
        scales: IntTensor<Self>,
        ids: IntTensor<Self>,
        weight: QuantLayout,
    ) -> FloatTensor<Self>;
}

/// Activations.
#[backend_extension(Flex)]
pub(crate) trait ActivationOps: burn::backend::Backend {
    fn activate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;
}

/// f32 products and convolutions.
#[backend_extension(Cube: cfg(feature = "wgpu"), Flex)]
pub(crate) trait DenseOps: burn::backend::Backend {
    fn matmul_f32(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Without `with_bias` the bias is a tensor of any size.
    fn conv2d_f32(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        with_bias: bool,
        options: Conv2dOptions,
    ) -> FloatTensor<Self>;
}

/// Attention. The result holds the heads of a query side by side, `[batch, n_q, n_heads, d_value]`.
#[backend_extension(Cube: cfg(feature = "wgpu"), Flex)]
pub(crate) trait AttentionOps: burn::backend::Backend {
    fn attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        visibility: Visibility,
    ) -> FloatTensor<Self>;
    /// [`Self::attention`] for the few queries of a decoding step.
    fn attention_decode(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        visibility: Visibility,
    ) -> FloatTensor<Self>;
    fn attention_bias(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn attention_relative(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        relative: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn relative_positions(
        q: FloatTensor<Self>,
        rows: FloatTensor<Self>,
        columns: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// The operations of a convolutional stem.
#[backend_extension(Cube: cfg(feature = "wgpu"), Flex)]
pub(crate) trait StemOps: burn::backend::Backend {
    fn batch_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        eps: f32,
        activation: Option<Activation>,
    ) -> FloatTensor<Self>;
    fn overlapping_cells(x: FloatTensor<Self>, stride: usize) -> FloatTensor<Self>;
}

/// Sampling of a token.
#[backend_extension(Cube: cfg(feature = "wgpu"), Flex)]
pub(crate) trait SampleOps: burn::backend::Backend {
    /// The token and its flag, `[2]`, and the list `sampled` with the token at index `n`.
    fn sample(
        logits: FloatTensor<Self>,
        sampled: IntTensor<Self>,
        n: usize,
        draw: Draw,
    ) -> (IntTensor<Self>, IntTensor<Self>);
}

/// Norms over dimension `axis` of `x`.
#[cfg(feature = "wgpu")]
#[backend_extension(Cube)]
pub(crate) trait NormOps: burn::backend::Backend {
    fn layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f32,
        axis: usize,
    ) -> FloatTensor<Self>;
    fn rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        eps: f32,
        axis: usize,
    ) -> FloatTensor<Self>;
}

/// The cache of keys and values.
#[cfg(feature = "wgpu")]
#[backend_extension(Cube)]
pub(crate) trait KvOps: burn::backend::Backend {
    /// Applies the rotary embedding to queries and keys, and writes keys and values after the first `start` positions of
    /// the cache: in place, unless another tensor shares its buffers.
    ///
    /// # Shapes
    /// - qkv: `[batch, n, n_heads + 2 · n_kv_heads, d_head]`
    /// - angles: `[positions, d_head]`
    /// - keys, values: `[batch, n_kv_heads, capacity, d_head]`
    /// - output: q, `[batch, n, n_heads, d_head]`, keys, values
    fn rope_append(
        qkv: FloatTensor<Self>,
        angles: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        start: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// Attention of coarse cells to fine ones.
#[cfg(feature = "wgpu")]
#[backend_extension(Cube)]
pub(crate) trait RegionOps: burn::backend::Backend {
    fn region_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        n_heads: usize,
        stride: usize,
    ) -> FloatTensor<Self>;
}

/// Deformable attention.
#[cfg(feature = "wgpu")]
#[backend_extension(Cube)]
pub(crate) trait DeformableOps: burn::backend::Backend {
    fn deformable_attention(
        value: FloatTensor<Self>,
        offsets: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        centres: FloatTensor<Self>,
        n_heads: usize,
    ) -> FloatTensor<Self>;
}
