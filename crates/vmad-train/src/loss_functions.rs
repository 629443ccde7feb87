//! The losses of §9.

use burn::tensor::{Int, Tensor, activation};

/// Mean cross-entropy of the next tokens.
///
/// # Shapes
/// - logits: `[m, vocab_size]`
/// - targets: `[m]`
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let [m, _] = logits.dims();
    let log_p = activation::log_softmax(logits, 1);
    log_p.gather(1, targets.reshape([m, 1])).mean().neg()
}

/// Cross-entropy with a weight per row, divided by the sum of the weights.
///
/// # Shapes
/// - logits: `[m, classes]`
/// - targets, weights: `[m]`
pub fn weighted_cross_entropy(
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
    weights: Tensor<1>,
) -> Tensor<1> {
    let [m, _] = logits.dims();
    let log_p = activation::log_softmax(logits, 1)
        .gather(1, targets.reshape([m, 1]))
        .reshape([m]);
    (log_p * weights.clone()).sum().neg() / weights.sum()
}

/// Binary cross-entropy on logits: mean per mask, mean over masks.
///
/// # Shapes
/// - logits, targets: `[n, pixels]`; targets in 0..1
pub fn bce(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    // max(x, 0) − x·t + ln(1 + e^−|x|), which does not overflow.
    let softplus = (logits.clone().abs().neg().exp() + 1.0).log();
    (activation::relu(logits.clone()) - logits * targets + softplus).mean()
}

/// LISA's DICE: 1 − (2 Σ(p/1000·t) + ε) / (Σ p/1000 + Σ t/1000 + ε), averaged over the masks that
/// hold anything; for an empty target it would stay near 1 whatever the output.
///
/// # Shapes
/// - logits, targets: `[n, pixels]`
/// - has_target: `[n]`, 1 where the target holds anything
pub fn dice(logits: Tensor<2>, targets: Tensor<2>, has_target: Tensor<1>) -> Tensor<1> {
    const SCALE: f64 = 1000.0;
    const EPS: f64 = 1e-6;
    let [n, _] = logits.dims();
    let p = activation::sigmoid(logits);
    let overlap = (p.clone() / SCALE * targets.clone()).sum_dim(1) * 2.0 + EPS;
    let total = (p / SCALE).sum_dim(1) + (targets / SCALE).sum_dim(1) + EPS;
    let loss = (overlap / total).neg() + 1.0;
    let count = has_target.clone().sum() + EPS;
    (loss.reshape([n]) * has_target).sum() / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn row(values: &[f32]) -> Tensor<2> {
        Tensor::from_data(
            TensorData::new(values.to_vec(), [1, values.len()]),
            &Device::flex(),
        )
    }

    fn value(x: Tensor<1>) -> f32 {
        x.into_scalar::<f32>()
    }

    #[test]
    fn bce_by_hand_and_without_overflow() {
        // ln 2 for logit 0; ln(1 + e^−100) for a right and 100 for a wrong certain answer.
        assert!((value(bce(row(&[0.0]), row(&[1.0]))) - std::f32::consts::LN_2).abs() < 1e-6);
        assert!(value(bce(row(&[100.0]), row(&[1.0]))) < 1e-6);
        assert!((value(bce(row(&[100.0]), row(&[0.0]))) - 100.0).abs() < 1e-4);
    }

    #[test]
    fn dice_by_hand() {
        // p = ½ everywhere, half of four pixels set: 1 − 2·1 / (2 + 2) = ½.
        let one = Tensor::ones([1], &Device::flex());
        let loss = dice(row(&[0.0; 4]), row(&[1.0, 1.0, 0.0, 0.0]), one);
        assert!((value(loss) - 0.5).abs() < 1e-3);
        let none = Tensor::zeros([1], &Device::flex());
        assert_eq!(value(dice(row(&[0.0; 4]), row(&[0.0; 4]), none)), 0.0);
    }

    #[test]
    fn cross_entropy_of_even_odds() {
        let targets = Tensor::from_data(TensorData::new(vec![2_i32], [1]), &Device::flex());
        let loss = value(cross_entropy(row(&[1.0; 4]), targets));
        assert!((loss - 4.0_f32.ln()).abs() < 1e-6);
    }
}
