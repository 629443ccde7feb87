//! Products of a decoding step together with what comes before or after them, on cubecl backends.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Dispatch, backend_extension};
use burn::tensor::{Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{
    MATVEC_Q4_ADDED, MATVEC_Q4_GATED, MATVEC_Q4_NORMED, MATVEC_Q8_ADDED, MATVEC_Q8_GATED,
    MATVEC_Q8_NORMED, MATVEC_TOKENS, Shader, run,
};
use crate::{QuantKind, QuantWeight};

/// What goes into a product beside the rows and the weight.
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

/// The operation as cubecl backends implement it; `rows` and `cols` are those of the weight.
#[backend_extension(Cube)]
pub(crate) trait ProductOps: burn::backend::Backend {
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

/// Whether these rows are few enough, and where the shaders can take them.
pub(crate) fn fits(x: &Tensor<2>) -> bool {
    let [tokens, _] = x.dims();
    super::fits(x) && (1..=MATVEC_TOKENS).contains(&tokens)
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
        )
    }
}
