//! Products, linear layers, convolutions and embedding look-ups.

use burn::tensor::{Device, Int, Tensor, TensorData};
use vmad_quant::{Q4Matrix, Q8Matrix, quantize_q4, quantize_q8};

use super::run::{COLS, Run};
use crate::error::KernelError;
use crate::ops::{
    Epilogue, RmsScale, conv2d, gather_quant, linear_f32, matmul, matmul_gated, matmul_linear,
    matmul_normed, matmul_quant,
};
use crate::reference::{self, ConvSizes};
use crate::types::{Activation, Conv2dOptions};
use crate::weight::QuantWeight;

/// Odd on purpose: the second tile is nearly empty.
const ROWS: usize = 67;

/// One token takes `matvec_*`, nine take `matmul_*`.
const TOKENS: [usize; 2] = [1, 9];

const IDS: [u32; 5] = [66, 0, 31, 31, 7];

const EPS: f64 = 1e-5;

/// Everything with packed weights.
pub(super) async fn packed(run: &mut Run<'_>) -> Result<(), KernelError> {
    plain::<Q8Matrix>(run).await?;
    plain::<Q4Matrix>(run).await?;
    fused::<Q8Matrix>(run).await?;
    fused::<Q4Matrix>(run).await?;

    let ids = |device: &Device| {
        Tensor::<1, Int>::from_data(TensorData::from(IDS.map(u32::cast_signed)), device)
    };
    let w = Q8Matrix::from_values(ROWS, run)?;
    let y = gather_quant(&w.upload(run.device)?, ids(run.device));
    run.compare("gather_q8", y, &vmad_quant::gather_q8(&IDS, &w)?)
        .await?;
    let w = Q4Matrix::from_values(ROWS, run)?;
    let y = gather_quant(&w.upload(run.device)?, ids(run.device));
    run.compare("gather_q4", y, &vmad_quant::gather_q4(&IDS, &w)?)
        .await
}

/// Products by themselves, for a decoding step and for a prompt.
async fn plain<M: Packed>(run: &mut Run<'_>) -> Result<(), KernelError> {
    for (tokens, op) in TOKENS.into_iter().zip([M::MATVEC, M::MATMUL]) {
        let w = M::from_values(ROWS, run)?;
        let x = run.values(tokens * COLS);
        let y = matmul_quant(run.tensor(&x, [tokens, COLS]), &w.upload(run.device)?);
        run.compare_product(op, y, &w.times(&x)?).await?;
    }
    Ok(())
}

/// Products with fusions and epilogues: one token, except for a whole linear layer.
async fn fused<M: Packed>(run: &mut Run<'_>) -> Result<(), KernelError> {
    let w = M::from_values(ROWS, run)?;
    let packed = w.upload(run.device)?;
    residual(run, &w, &packed).await?;
    linear(run, &w, &packed).await?;

    let norm = run.values(COLS);
    let x = run.values(COLS);
    let scale = scale(run, &norm);
    let y = matmul_normed(run.tensor(&x, [1, COLS]), scale.clone(), &packed);
    let expected = w.times(&reference::rms_norm(&x, &norm, EPS))?;
    run.compare(M::NORMED, y, &expected).await?;

    // Only matrices of an even number of blocks can be stacked.
    let gates = M::from_values(ROWS - 1, run)?;
    let ups = M::from_values(ROWS - 1, run)?;
    let both = QuantWeight::stacked(&[&gates.upload(run.device)?, &ups.upload(run.device)?]);
    let both = both.unwrap_or_else(|| unreachable!("two matrices of one size and kind"));
    for (tokens, op) in TOKENS.into_iter().zip([M::GATED, M::LINEAR]) {
        let x = run.values(tokens * COLS);
        let y = matmul_gated(run.tensor(&x, [tokens, COLS]), scale.clone(), &both);
        let h = reference::rms_norm(&x, &norm, EPS);
        let expected = reference::gated(&gates.times(&h)?, &ups.times(&h)?);
        run.compare_product(op, y, &expected).await?;
    }
    Ok(())
}

fn scale(run: &Run<'_>, norm: &[f32]) -> RmsScale {
    RmsScale {
        weight: run.tensor(norm, [COLS]),
        eps: EPS,
    }
}

async fn residual<M: Packed>(
    run: &mut Run<'_>,
    w: &M,
    packed: &QuantWeight,
) -> Result<(), KernelError> {
    let (x, residual) = (run.values(COLS), run.values(ROWS));
    let epilogue = Epilogue {
        residual: Some(run.tensor(&residual, [1, ROWS])),
        ..Epilogue::default()
    };
    let y = matmul_linear(run.tensor(&x, [1, COLS]), packed, epilogue);
    let product = w.times(&x)?.into_iter().zip(&residual);
    let expected: Vec<f32> = product.map(|(y, residual)| y + residual).collect();
    run.compare(M::RESIDUAL, y, &expected).await
}

async fn linear<M: Packed>(
    run: &mut Run<'_>,
    w: &M,
    packed: &QuantWeight,
) -> Result<(), KernelError> {
    let tokens = TOKENS[1];
    let x = run.values(tokens * COLS);
    let (residual, bias) = (run.values(tokens * ROWS), run.values(ROWS));
    let epilogue = Epilogue {
        bias: Some(run.tensor(&bias, [ROWS])),
        activation: Some(Activation::Gelu),
        residual: Some(run.tensor(&residual, [tokens, ROWS])),
    };
    let y = matmul_linear(run.tensor(&x, [tokens, COLS]), packed, epilogue);
    let finish = |(i, y): (usize, f32)| {
        reference::activated(Activation::Gelu, y + bias[i % ROWS]) + residual[i]
    };
    let expected: Vec<f32> = w.times(&x)?.into_iter().enumerate().map(finish).collect();
    run.compare_product(M::LINEAR, y, &expected).await
}

/// Products of floats, one side transposed, and convolutions.
pub(super) async fn floats(run: &mut Run<'_>) -> Result<(), KernelError> {
    let [m, k, n] = [35, 33, 5];
    let (a, b) = (run.values(m * k), run.values(k * n));
    let y = matmul(
        run.tensor(&a, [m, k]),
        run.tensor(&transposed(&b, n, k), [n, k]).transpose(),
    );
    run.compare("matmul_f32", y, &reference::matmul(&a, &b, [m, k, n]))
        .await?;

    let [tokens, rows] = [37, ROWS];
    let (x, w) = (run.values(tokens * COLS), run.values(rows * COLS));
    let residual = run.values(tokens * rows);
    let epilogue = Epilogue {
        residual: Some(run.tensor(&residual, [tokens, rows])),
        ..Epilogue::default()
    };
    let y = linear_f32(
        run.tensor(&x, [tokens, COLS]),
        run.tensor(&w, [rows, COLS]),
        epilogue,
    );
    let product = reference::matmul(&x, &transposed(&w, COLS, rows), [tokens, COLS, rows]);
    let sums = product.iter().zip(&residual);
    let expected: Vec<f32> = sums.map(|(y, residual)| y + residual).collect();
    run.compare_product("linear_f32", y, &expected).await?;

    for (groups, with_bias) in [(1, true), (6, false)] {
        convolution(run, groups, with_bias).await?;
    }
    Ok(())
}

/// The transpose of a matrix with `columns` columns: `[rows, columns]` of the result.
fn transposed(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let at = |i: usize| x[i % columns * rows + i / columns];
    (0..rows * columns).map(at).collect()
}

async fn convolution(run: &mut Run<'_>, groups: usize, with_bias: bool) -> Result<(), KernelError> {
    let (c, side, kernel) = (6, 9, 3);
    let options = Conv2dOptions {
        stride: 2,
        padding: 1,
        groups,
    };
    let sizes = ConvSizes {
        batch: 1,
        c_in: c,
        c_out: c,
        size: [side; 2],
        kernel,
    };
    let x = run.values(c * side * side);
    let weight = run.values(c * c / groups * kernel * kernel);
    let bias = run.values(if with_bias { c } else { 0 });
    let y = conv2d(
        run.tensor(&x, [1, c, side, side]),
        run.tensor(&weight, [c, c / groups, kernel, kernel]),
        with_bias.then(|| run.tensor(&bias, [c])),
        options,
    );
    let expected = reference::conv2d([&x, &weight, &bias], sizes, options);
    run.compare("conv2d", y, &expected).await
}

/// The two kinds of packed matrix.
trait Packed: Sized {
    const MATVEC: &str;
    const MATMUL: &str;
    const RESIDUAL: &str;
    const LINEAR: &str;
    const NORMED: &str;
    const GATED: &str;

    fn from_values(rows: usize, run: &mut Run<'_>) -> Result<Self, KernelError>;
    fn upload(&self, device: &Device) -> Result<QuantWeight, KernelError>;
    /// The product with some tokens.
    fn times(&self, x: &[f32]) -> Result<Vec<f32>, KernelError>;
}

impl Packed for Q8Matrix {
    const MATVEC: &str = "matvec_q8";
    const MATMUL: &str = "matmul_q8";
    const RESIDUAL: &str = "matvec_q8_residual";
    const LINEAR: &str = "matmul_q8 with an epilogue";
    const NORMED: &str = "matvec_q8_norm";
    const GATED: &str = "matvec_q8_gated";

    fn from_values(rows: usize, run: &mut Run<'_>) -> Result<Self, KernelError> {
        Ok(quantize_q8(&run.values(rows * COLS), rows, COLS)?)
    }

    fn upload(&self, device: &Device) -> Result<QuantWeight, KernelError> {
        let (rows, cols) = (self.rows(), self.cols());
        QuantWeight::from_q8(rows, cols, self.values(), self.scales(), device)
    }

    fn times(&self, x: &[f32]) -> Result<Vec<f32>, KernelError> {
        Ok(vmad_quant::matmul_q8(x, self)?)
    }
}

impl Packed for Q4Matrix {
    const MATVEC: &str = "matvec_q4";
    const MATMUL: &str = "matmul_q4";
    const RESIDUAL: &str = "matvec_q4_residual";
    const LINEAR: &str = "matmul_q4 with an epilogue";
    const NORMED: &str = "matvec_q4_norm";
    const GATED: &str = "matvec_q4_gated";

    fn from_values(rows: usize, run: &mut Run<'_>) -> Result<Self, KernelError> {
        Ok(quantize_q4(&run.values(rows * COLS), rows, COLS)?)
    }

    fn upload(&self, device: &Device) -> Result<QuantWeight, KernelError> {
        let (rows, cols) = (self.rows(), self.cols());
        QuantWeight::from_q4(rows, cols, self.words(), self.scales(), device)
    }

    fn times(&self, x: &[f32]) -> Result<Vec<f32>, KernelError> {
        Ok(vmad_quant::matmul_q4(x, self)?)
    }
}
