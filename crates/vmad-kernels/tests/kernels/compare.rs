//! Results against what they should be.

use burn::tensor::Tensor;

/// Fails at the first element that differs from `expected` by more than its tolerance, or is no number.
pub fn compare<const D: usize>(
    what: &str,
    actual: Tensor<D>,
    expected: &[f32],
    tolerance: impl Fn(usize) -> f32,
) {
    let data = pollster::block_on(actual.into_data_async()).unwrap();
    let actual: Vec<f32> = data.try_to_vec().unwrap();
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (i, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        // Written so that a NaN fails.
        let close = (actual - expected).abs() <= tolerance(i);
        assert!(
            close,
            "{what}: element {i} is {actual}, should be {expected}"
        );
    }
}
