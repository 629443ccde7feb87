//! LoRA factors of a model under training, folded into the matrices that they belong to (§6, §13 D).

use crate::checkpoint::{Checkpoint, Tensor};
use crate::error::ConvertError;

/// How PEFT calls the factors: in a dump of the whole model, and in an adapter's own file.
const FACTORS: [[&str; 2]; 2] = [
    [".lora_A.default.weight", ".lora_B.default.weight"],
    [".lora_A.weight", ".lora_B.weight"],
];
/// How a matrix that has factors is called; newer versions of PEFT wrap it.
const BASES: [&str; 2] = [".base_layer.weight", ".weight"];

/// Checks that a factor has its other half and a matrix to go into, so that none is lost.
pub(crate) fn check_factor(checkpoint: &Checkpoint, factor: &str) -> Result<(), ConvertError> {
    let stem = FACTORS.iter().flatten();
    let Some(stem) = stem
        .into_iter()
        .find_map(|suffix| factor.strip_suffix(suffix))
    else {
        return Err(ConvertError::NoTensor(factor.into()));
    };
    let holds = |suffix: &str| checkpoint.shape(&format!("{stem}{suffix}")).is_some();
    let is_whole = |pair: &[&str; 2]| pair.iter().all(|suffix| holds(suffix));
    if !FACTORS.iter().any(is_whole) {
        return Err(ConvertError::NoTensor(format!("{stem}.lora_A and .lora_B")));
    }
    if !BASES.iter().any(|suffix| holds(suffix)) {
        return Err(ConvertError::NoTensor(format!("{stem}.weight")));
    }
    Ok(())
}

/// W + (α / r)·B·A where the checkpoint has factors of `base`, and `base` as it is where not.
pub(crate) fn merged(
    checkpoint: &Checkpoint,
    base: Tensor,
    alpha: Option<f64>,
) -> Result<Tensor, ConvertError> {
    let stem = BASES
        .iter()
        .find_map(|suffix| base.name.strip_suffix(suffix));
    let pair = stem.and_then(|stem| {
        let pairs = FACTORS.map(|pair| pair.map(|suffix| format!("{stem}{suffix}")));
        let is_there = |pair: &[String; 2]| checkpoint.shape(&pair[0]).is_some();
        pairs.into_iter().find(is_there)
    });
    let Some([a, b]) = pair else {
        return Ok(base);
    };
    let Some(alpha) = alpha else {
        return Err(ConvertError::UnmergedLora(a));
    };
    add(base, &checkpoint.read(&a)?, &checkpoint.read(&b)?, alpha)
}

/// `base: [rows, cols]`, `a: [r, cols]`, `b: [rows, r]`.
fn add(mut base: Tensor, a: &Tensor, b: &Tensor, alpha: f64) -> Result<Tensor, ConvertError> {
    let (rows, cols, rank) = match (&base.shape[..], &a.shape[..], &b.shape[..]) {
        (&[rows, cols], &[rank, a_cols], &[b_rows, b_rank])
            if rank > 0 && cols > 0 && (rank, rows, cols) == (b_rank, b_rows, a_cols) =>
        {
            (rows, cols, rank)
        }
        _ => {
            return Err(ConvertError::Shape {
                tensor: a.name.clone(),
                shape: a.shape.clone(),
                reason: "LoRA's factors should be [r, columns] and [rows, r] of their matrix",
            });
        }
    };
    let scale = alpha / rank as f64;
    let mut delta = vec![0.0; cols];
    for row in 0..rows {
        delta.fill(0.0);
        for (b, a) in b.values[row * rank..][..rank]
            .iter()
            .zip(a.values.chunks_exact(cols))
        {
            let factor = scale * f64::from(*b);
            for (delta, a) in delta.iter_mut().zip(a) {
                *delta += factor * f64::from(*a);
            }
        }
        for (weight, delta) in base.values[row * cols..][..cols].iter_mut().zip(&delta) {
            *weight = (f64::from(*weight) + delta) as f32;
        }
    }
    Ok(base)
}
