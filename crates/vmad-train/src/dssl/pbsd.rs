//! Patch-based similarity distillation, equations (12), (17) and (18), and the contrast that trains
//! DSCL's head.

use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

/// Over which entries of the memory the loss (18) sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// Normal entries only, as the paper writes it.
    #[default]
    Positives,
    /// All entries, as DSCL's code does.
    All,
}

/// ν(x) = x / ‖x‖₂ of each row.
///
/// # Shapes
/// - x, output: `[n, d]`
pub fn unit(x: Tensor<2>) -> Tensor<2> {
    /// Keeps a zero row zero, and its gradient finite.
    const TINY: f64 = 1e-24;
    let length = (x.clone().square().sum_dim(1) + TINY).sqrt();
    x / length
}

/// Similarity distributions (12) and (17): softmax over the memory of box · entry / τ.
///
/// # Shapes
/// - boxes: `[k, d]`, of unit length
/// - memory: `[m, d]`, of unit length
/// - output: `[k, m]`, logarithms
pub fn log_similarity(boxes: Tensor<2>, memory: Tensor<2>, temperature: f64) -> Tensor<2> {
    activation::log_softmax(boxes.matmul(memory.transpose()) / temperature, 1)
}

/// The loss (18): −1/K Σ_k Σ_i sg\[p(i|k)\] log p̃(i|k). No gradient reaches the visual side.
///
/// # Shapes
/// - visual, textual: `[k, m]`, logarithms
/// - normal: `[m]`, 1 for normal entries
pub fn pbsd(
    visual: Tensor<2>,
    textual: Tensor<2>,
    normal: Tensor<1>,
    support: Support,
) -> Tensor<1> {
    let [n_boxes, _] = visual.dims();
    let terms = visual.detach().exp() * textual;
    let terms = match support {
        Support::Positives => terms * normal.unsqueeze::<2>(),
        Support::All => terms,
    };
    terms.sum().neg() / n_boxes as f64
}

/// Supervised contrast (Khosla et al. 2020) of one picture with the memory: the mean of −log p over
/// the entries of its own label, of which there is at least one.
///
/// # Shapes
/// - similarity: `[1, m]`, logarithms ([`log_similarity`])
/// - is_like: `[m]`, 1 for entries of the picture's label
pub fn contrastive(similarity: Tensor<2>, is_like: Tensor<1>) -> Tensor<1> {
    let count = is_like.clone().sum();
    (similarity * is_like.unsqueeze::<2>()).sum().neg() / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution, TensorData};

    fn random_units(shape: [usize; 2], device: &Device) -> Tensor<2> {
        unit(Tensor::random(
            shape,
            Distribution::Normal(0.0, 1.0),
            device,
        ))
    }

    fn value(x: Tensor<1>) -> f32 {
        x.into_scalar::<f32>()
    }

    /// Golden test 5, first half.
    #[test]
    fn no_gradient_reaches_the_visual_side() {
        let device = Device::flex().autodiff();
        device.seed(1);
        let visual_boxes = random_units([5, 8], &device).require_grad();
        let text_boxes = random_units([5, 8], &device).require_grad();
        let memory = random_units([12, 8], &device);
        let normal = Tensor::from_data(TensorData::new(vec![1.0_f32; 12], [12]), &device);
        for support in [Support::Positives, Support::All] {
            let visual = log_similarity(visual_boxes.clone(), memory.clone(), 0.07);
            let textual = log_similarity(text_boxes.clone(), memory.clone(), 0.07);
            let gradients = pbsd(visual, textual, normal.clone(), support).backward();
            assert!(
                visual_boxes
                    .grad(&gradients)
                    .is_none_or(|g| value(g.abs().max()) == 0.0)
            );
            let learned = text_boxes.grad(&gradients).map(|g| value(g.abs().max()));
            assert!(learned.is_some_and(|g| g > 0.0), "{support:?}: {learned:?}");
        }
    }

    /// Golden test 5, second half: over all entries the minimum is the entropy of p, at p̃ = p.
    #[test]
    fn minimum_over_all_entries_is_the_entropy() {
        let device = Device::flex();
        device.seed(2);
        let boxes = random_units([4, 6], &device);
        let memory = random_units([9, 6], &device);
        let p = log_similarity(boxes, memory.clone(), 0.2);
        let normal = Tensor::ones([9], &device);
        let entropy = value((p.clone().exp() * p.clone()).sum().neg() / 4.0);
        let at_p = value(pbsd(p.clone(), p.clone(), normal.clone(), Support::All));
        assert!((at_p - entropy).abs() < 1e-5, "{at_p} against {entropy}");
        for _ in 0..20 {
            let other = log_similarity(random_units([4, 6], &device), memory.clone(), 0.2);
            let elsewhere = value(pbsd(p.clone(), other, normal.clone(), Support::All));
            assert!(
                elsewhere > at_p,
                "{elsewhere} at another point, {at_p} at p"
            );
        }
    }

    /// And it is a minimum to first order: the gradient with respect to the logits of p̃ is p̃ − p.
    #[test]
    fn the_gradient_vanishes_at_the_minimum() {
        let device = Device::flex().autodiff();
        device.seed(3);
        let logits = Tensor::<2>::random([3, 7], Distribution::Normal(0.0, 2.0), &device);
        let p = activation::log_softmax(logits.clone(), 1);
        let normal = Tensor::ones([7], &device);
        for (shift, is_minimum) in [(0.0, true), (0.5, false)] {
            let moved =
                logits.clone() + Tensor::random([3, 7], Distribution::Default, &device) * shift;
            let moved = moved.detach().require_grad();
            let q = activation::log_softmax(moved.clone(), 1);
            let gradients = pbsd(p.clone(), q, normal.clone(), Support::All).backward();
            let steepest = moved.grad(&gradients).map(|g| value(g.abs().max()));
            let is_flat = steepest.is_some_and(|g| g < 1e-6);
            assert_eq!(is_flat, is_minimum, "shifted by {shift}: {steepest:?}");
        }
    }

    #[test]
    fn positives_leave_abnormal_entries_out() {
        let device = Device::flex();
        let log =
            |rows: Vec<f32>| Tensor::<2>::from_data(TensorData::new(rows, [1, 2]), &device).log();
        let normal = Tensor::from_data(TensorData::new(vec![1.0_f32, 0.0], [2]), &device);
        let loss = pbsd(
            log(vec![0.25, 0.75]),
            log(vec![0.5, 0.5]),
            normal,
            Support::Positives,
        );
        assert!((value(loss) - 0.25 * std::f32::consts::LN_2).abs() < 1e-6);
    }

    #[test]
    fn contrast_by_hand() {
        let device = Device::flex();
        let p = Tensor::<2>::from_data([[0.5_f32, 0.25, 0.25]], &device).log();
        let is_like = Tensor::<1>::from_data([1.0_f32, 0.0, 1.0], &device);
        // (ln 2 + ln 4) / 2
        assert!((value(contrastive(p, is_like)) - 1.5 * std::f32::consts::LN_2).abs() < 1e-6);
    }

    #[test]
    fn a_zero_row_stays_zero() {
        let device = Device::flex();
        let rows = unit(Tensor::<2>::from_data(
            [[0.0_f32, 0.0], [3.0, 4.0]],
            &device,
        ));
        let rows: Vec<f32> = rows.into_data().iter::<f32>().collect();
        assert_eq!(&rows[..2], [0.0, 0.0]);
        assert!((rows[2] - 0.6).abs() < 1e-6 && (rows[3] - 0.8).abs() < 1e-6);
    }
}
