//! Products together with what comes before or after them, on cubecl backends.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Dispatch, backend_extension};
use burn::tensor::{Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{
    MATMUL_Q4, MATMUL_Q8, MATVEC_Q4_ADDED, MATVEC_Q4_GATED, MATVEC_Q4_NORMED, MATVEC_Q8_ADDED,
    MATVEC_Q8_GATED, MATVEC_Q8_NORMED, Shader, run,
};
use crate::cost::{self, MATVEC_TOKENS};
use crate::product::{Activation, LinearEnd};
use crate::{QuantKind, QuantWeight};

/// What goes into a product of a decoding step beside the rows and the weight.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// A tensor as large as the result is added.
    Added,
    /// The rows are normed first, by these weights and this ε.
    Normed(f32),
    /// The same, and SiLU of the upper half of the results multiplies the lower.
    Gated(f32),
}

impl End {
    fn shader(self, kind: QuantKind) -> &'static Shader {
        match (self, kind) {
            (Self::Added, QuantKind::Q4) => &MATVEC_Q4_ADDED,
            (Self::Added, QuantKind::Q8) => &MATVEC_Q8_ADDED,
            (Self::Normed(_), QuantKind::Q4) => &MATVEC_Q4_NORMED,
            (Self::Normed(_), QuantKind::Q8) => &MATVEC_Q8_NORMED,
            (Self::Gated(_), QuantKind::Q4) => &MATVEC_Q4_GATED,
            (Self::Gated(_), QuantKind::Q8) => &MATVEC_Q8_GATED,
        }
    }
}

/// The operations as cubecl backends implement them; `rows`, or the second of `weight`, are those of the weight.
#[backend_extension(Cube)]
pub(crate) trait ProductOps: burn::backend::Backend {
    /// The words are those of the shader: whether there is a bias, which activation, whether there is a residual.
    fn linear(
        x: FloatTensor<Self>,
        packed: IntTensor<Self>,
        scales: IntTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        words: [u32; 3],
        weight: (QuantKind, usize),
    ) -> FloatTensor<Self>;

    fn product(
        x: FloatTensor<Self>,
        packed: IntTensor<Self>,
        scales: IntTensor<Self>,
        extra: FloatTensor<Self>,
        end: End,
        kind: QuantKind,
        rows: usize,
    ) -> FloatTensor<Self>;
}

/// Whether these are the rows of a decoding step, where the shaders can take them.
pub(crate) fn is_step(x: &Tensor<2>) -> bool {
    let [tokens, _] = x.dims();
    super::fits(x) && (1..=MATVEC_TOKENS).contains(&tokens)
}

/// Whether these are the rows of a prompt or an image, where the shaders can take them.
pub(crate) fn is_prompt(x: &Tensor<2>) -> bool {
    super::fits(x) && x.dims()[0] > MATVEC_TOKENS
}

/// The product of `x` and `w` with what a linear layer does with it, in as many launches as keep each of them
/// short.
pub(crate) fn linear(x: Tensor<2>, w: &QuantWeight, end: LinearEnd) -> Tensor<2> {
    let [tokens, _] = x.dims();
    let most = cost::most_tokens(w.kind(), w.rows(), w.cols());
    if tokens <= most {
        return linear_at_once(x, w, end);
    }
    let parts = (0..tokens).step_by(most).map(|first| {
        let part = |x: &Tensor<2>| x.clone().narrow(0, first, most.min(tokens - first));
        let end = LinearEnd {
            bias: end.bias.clone(),
            activation: end.activation,
            residual: end.residual.as_ref().map(part),
        };
        linear_at_once(part(&x), w, end)
    });
    Tensor::cat(parts.collect(), 0)
}

fn linear_at_once(x: Tensor<2>, w: &QuantWeight, end: LinearEnd) -> Tensor<2> {
    let words = [
        u32::from(end.bias.is_some()),
        match end.activation {
            None => 0,
            Some(Activation::Gelu) => 1,
            Some(Activation::QuickGelu) => 2,
            Some(Activation::Relu) => 3,
        },
        u32::from(end.residual.is_some()),
    ];
    let device = x.device();
    // What is bound where there is none: never read, and no two may share their memory.
    let bias = end.bias.unwrap_or_else(|| Tensor::empty([1], &device));
    let residual = end.residual;
    let residual = residual.unwrap_or_else(|| Tensor::empty([1, 1], &device));
    let (packed, scales) = (w.packed().into_dispatch(), w.scales().into_dispatch());
    Tensor::from_dispatch(<Dispatch as ProductOps>::linear(
        x.into_dispatch(),
        packed,
        scales,
        bias.into_dispatch(),
        residual.into_dispatch(),
        words,
        (w.kind(), w.rows()),
    ))
}

/// The product of `x` and `w` with its end, to which `extra` belongs: the norm's weights `[1, cols]`, or
/// what is added, `[tokens, rows]`.
pub(crate) fn product(x: Tensor<2>, w: &QuantWeight, extra: Tensor<2>, end: End) -> Tensor<2> {
    let (x, extra) = (x.into_dispatch(), extra.into_dispatch());
    let (packed, scales) = (w.packed().into_dispatch(), w.scales().into_dispatch());
    Tensor::from_dispatch(<Dispatch as ProductOps>::product(
        x,
        packed,
        scales,
        extra,
        end,
        w.kind(),
        w.rows(),
    ))
}

impl ProductOps for CubeBackend {
    fn linear(
        x: CubeTensor,
        packed: CubeTensor,
        scales: CubeTensor,
        bias: CubeTensor,
        residual: CubeTensor,
        [with_bias, activation, with_residual]: [u32; 3],
        (kind, rows): (QuantKind, usize),
    ) -> CubeTensor {
        let (tokens, cols) = (x.meta.shape()[0], x.meta.shape()[1]);
        let shader = match kind {
            QuantKind::Q4 => &MATMUL_Q4,
            QuantKind::Q8 => &MATMUL_Q8,
        };
        let word = |n: usize| n as u32;
        let sizes = [word(tokens), word(rows), word(cols), 0];
        let info = [sizes, [with_bias, activation, with_residual, 0]].concat();
        let tiles = |n: usize| n.div_ceil(shader.tile as usize) as u64;
        let ends = [bias, residual].map(into_contiguous);
        let inputs = [packed, scales, into_contiguous(x)].into_iter().chain(ends);
        run(
            shader,
            inputs.collect(),
            Shape::new([tokens, rows]),
            (info, 3),
            tiles(tokens) * tiles(rows),
            cost::product(kind, [tokens, rows, cols]).asked.operations,
        )
    }

    fn product(
        x: CubeTensor,
        packed: CubeTensor,
        scales: CubeTensor,
        extra: CubeTensor,
        end: End,
        kind: QuantKind,
        rows: usize,
    ) -> CubeTensor {
        let (tokens, cols) = (x.meta.shape()[0], x.meta.shape()[1]);
        let (results, eps) = match end {
            End::Added => (rows, 0.0),
            End::Normed(eps) => (rows, eps),
            End::Gated(eps) => (rows / 2, eps),
        };
        let shader = end.shader(kind);
        let word = |n: usize| n as u32;
        let sizes = [word(tokens), word(rows), word(cols), 0];
        let info = [sizes, [eps.to_bits(), 0, 0, 0]].concat();
        let groups = results.div_ceil(shader.tile as usize) as u64 * tokens as u64;
        let inputs = vec![packed, scales, into_contiguous(x), into_contiguous(extra)];
        run(
            shader,
            inputs,
            Shape::new([tokens, results]),
            (info, 3),
            groups,
            cost::product(kind, [tokens, rows, cols]).asked.operations,
        )
    }
}
