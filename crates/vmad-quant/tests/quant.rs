//! Properties of the quantisers over odd shapes, and hand-worked layouts.

use half::f16;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use vmad_quant::{
    BLOCK, BlockShape, Q4_MAX, Q4Matrix, Q8_MAX, Q8Matrix, QuantError, check_q4, dequantize_q4,
    dequantize_q8, gather_q4, gather_q8, matmul_q4, matmul_q8, quantize_q4, quantize_q8,
};

type TestResult = Result<(), QuantError>;

const SHAPES: [(usize, usize); 9] = [
    (1, 1),
    (1, 32),
    (3, 31),
    (2, 33),
    (5, 64),
    (7, 100),
    (65, 96),
    (4, 257),
    (1, 4096),
];

/// Roughly normal values with an outlier now and then, as trained weights have.
fn weights(rng: &mut StdRng, len: usize) -> Vec<f32> {
    (0..len)
        .map(|_| {
            let normal: f32 = (0..6).map(|_| rng.random_range(-1.0f32..1.0)).sum();
            let outlier = if rng.random_bool(0.02) { 5.0 } else { 1.0 };
            0.02 * normal * outlier
        })
        .collect()
}

/// Squared error of each block when its scale is the maximum over `q_max`.
fn max_scaling_errors(x: &[f32], cols: usize, q_max: i8) -> Vec<f64> {
    let q_max = f32::from(q_max);
    let mut errors = Vec::new();
    for row in x.chunks(cols) {
        for block in row.chunks(BLOCK) {
            let max_abs = block.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let scale = f16::from_f32(max_abs / q_max).to_f32();
            let error = block.iter().map(|v| {
                let q = if scale == 0.0 {
                    0.0
                } else {
                    (v / scale).round().clamp(-q_max, q_max)
                };
                f64::from(v - q * scale).powi(2)
            });
            errors.push(error.sum());
        }
    }
    errors
}

fn block_errors(x: &[f32], y: &[f32], cols: usize) -> Vec<f64> {
    let mut errors = Vec::new();
    for (x_row, y_row) in x.chunks(cols).zip(y.chunks(cols)) {
        for (x_block, y_block) in x_row.chunks(BLOCK).zip(y_row.chunks(BLOCK)) {
            let error = x_block.iter().zip(y_block);
            errors.push(error.map(|(a, b)| f64::from(a - b).powi(2)).sum());
        }
    }
    errors
}

fn check_never_worse(found: &[f64], max_scaling: &[f64], what: &str) {
    assert_eq!(found.len(), max_scaling.len());
    for (block, (found, plain)) in found.iter().zip(max_scaling).enumerate() {
        // The search sums in f32, the test in f64: 32 terms, 2⁻²⁴ each.
        assert!(
            *found <= plain * (1.0 + 1e-5) + 1e-30,
            "{what} block {block}: searched {found:e}, maximum {plain:e}"
        );
    }
}

#[test]
fn search_is_never_worse_than_scaling_by_the_maximum() -> TestResult {
    let mut rng = StdRng::seed_from_u64(1);
    for (rows, cols) in SHAPES {
        for magnitude in [1e-6, 1e-3, 1.0, 3e4] {
            let mut x = weights(&mut rng, rows * cols);
            x.iter_mut().for_each(|v| *v *= magnitude);
            let q4 = quantize_q4(&x, rows, cols)?;
            let q8 = quantize_q8(&x, rows, cols)?;
            let what = format!("[{rows}, {cols}] x {magnitude}");
            check_never_worse(
                &block_errors(&x, &q4.dequantize(), cols),
                &max_scaling_errors(&x, cols, Q4_MAX),
                &format!("int4 {what}"),
            );
            check_never_worse(
                &block_errors(&x, &q8.dequantize(), cols),
                &max_scaling_errors(&x, cols, Q8_MAX),
                &format!("int8 {what}"),
            );
        }
    }
    Ok(())
}

#[test]
fn search_gains_on_trained_looking_weights() -> TestResult {
    let mut rng = StdRng::seed_from_u64(2);
    let (rows, cols) = (64, 512);
    let x = weights(&mut rng, rows * cols);
    let q4 = quantize_q4(&x, rows, cols)?;
    let found: f64 = block_errors(&x, &q4.dequantize(), cols).iter().sum();
    let plain: f64 = max_scaling_errors(&x, cols, Q4_MAX).iter().sum();
    assert!(
        found < 0.95 * plain,
        "searched {found:e}, maximum {plain:e}"
    );
    Ok(())
}

#[test]
fn quantised_matrices_satisfy_their_own_constructors() -> TestResult {
    let mut rng = StdRng::seed_from_u64(3);
    for (rows, cols) in SHAPES {
        let x = weights(&mut rng, rows * cols);
        let q4 = quantize_q4(&x, rows, cols)?;
        let q8 = quantize_q8(&x, rows, cols)?;
        let (words, scales) = q4.clone().into_parts();
        assert_eq!(dequantize_q4(q4.shape(), &words, &scales)?, q4.dequantize());
        assert_eq!(Q4Matrix::new(rows, cols, words, scales)?, q4);
        let (values, scales) = q8.clone().into_parts();
        assert_eq!(
            dequantize_q8(q8.shape(), &values, &scales)?,
            q8.dequantize()
        );
        assert_eq!(Q8Matrix::new(rows, cols, values, scales)?, q8);
    }
    Ok(())
}

#[test]
fn whole_multiples_of_a_scale_survive_exactly() -> TestResult {
    // 32 + 15 values: both blocks reach full range at scale 0.25.
    let x: Vec<f32> = (0..47).map(|i| (i % 15 - 7) as f32 * 0.25).collect();
    assert_eq!(quantize_q4(&x, 1, 47)?.dequantize(), x);
    let x: Vec<f32> = (0..260).map(|i| (i % 255 - 127) as f32 * 0.5).collect();
    // Blocks whose largest value is not 127 steps get another, finer scale.
    let y = quantize_q8(&x, 1, 260)?.dequantize();
    for (i, (a, b)) in x.iter().zip(&y).enumerate() {
        assert!((a - b).abs() <= 0.26, "value {i}: {a} became {b}");
    }
    Ok(())
}

#[test]
fn nibbles_lie_lowest_first_and_padding_is_eight() -> TestResult {
    // Scale 1 in both blocks: the first value of each is at full range.
    let mut x = vec![0.0f32; 34];
    x[..9].copy_from_slice(&[7.0, -7.0, 1.0, -1.0, 0.0, 2.0, -2.0, 3.0, 4.0]);
    x[32..].copy_from_slice(&[7.0, -5.0]);
    let q4 = quantize_q4(&x, 1, 34)?;
    assert_eq!(q4.scales(), [f16::ONE, f16::ONE]);
    assert_eq!(q4.words()[0], 0xb6a8_791f);
    assert_eq!(q4.words()[1], 0x8888_888c);
    assert_eq!(q4.words()[4], 0x8888_883f);
    assert_eq!(q4.words()[7], 0x8888_8888);
    Ok(())
}

#[test]
fn zero_blocks_stay_zero() -> TestResult {
    for (rows, cols) in SHAPES {
        let x = vec![0.0; rows * cols];
        let q4 = quantize_q4(&x, rows, cols)?;
        let q8 = quantize_q8(&x, rows, cols)?;
        assert!(
            q4.scales()
                .iter()
                .chain(q8.scales())
                .all(|s| *s == f16::ZERO)
        );
        assert!(q4.words().iter().all(|w| *w == 0x8888_8888));
        assert_eq!(q4.dequantize(), x);
        assert_eq!(q8.dequantize(), x);
    }
    Ok(())
}

#[test]
fn bad_input_is_refused() -> TestResult {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = vec![1.0; 2 * 33];
        x[33 + 32] = bad;
        for error in [quantize_q4(&x, 2, 33).err(), quantize_q8(&x, 2, 33).err()] {
            assert!(
                matches!(
                    error,
                    Some(QuantError::NonFinite {
                        row: 1,
                        col: 32,
                        ..
                    })
                ),
                "{error:?}"
            );
        }
    }
    assert!(matches!(
        quantize_q4(&[1e9], 1, 1),
        Err(QuantError::ScaleOverflow {
            row: 0,
            block: 0,
            ..
        })
    ));
    assert!(matches!(
        quantize_q8(&[1.0; 5], 2, 3),
        Err(QuantError::Length {
            expected: 6,
            actual: 5,
            ..
        })
    ));
    assert!(matches!(
        BlockShape::new(0, 3),
        Err(QuantError::Empty { .. })
    ));
    for (rows, cols) in [(usize::MAX, 2), (2, usize::MAX), (usize::MAX / 64, 32)] {
        assert_eq!(
            BlockShape::new(rows, cols),
            Err(QuantError::TooLarge { rows, cols })
        );
    }
    Ok(())
}

#[test]
fn constructors_hold_the_invariant() -> TestResult {
    let one = || vec![f16::ONE];
    let q4 = |words: [u32; 4], scales| Q4Matrix::new(1, 31, words.to_vec(), scales).err();
    let eights = 0x8888_8888;
    assert_eq!(q4([eights; 4], one()), None);
    assert!(matches!(
        q4([eights, 0x8808_8888, eights, eights], one()),
        Some(QuantError::Range {
            row: 0,
            col: 13,
            value: -8,
            max: 7
        })
    ));
    assert!(matches!(
        q4([eights, eights, eights, 0x9888_8888], one()),
        Some(QuantError::Padding {
            row: 0,
            col: 31,
            value: 1
        })
    ));
    assert!(matches!(
        q4([eights; 4], vec![f16::NAN]),
        Some(QuantError::Scale {
            row: 0,
            block: 0,
            ..
        })
    ));
    assert!(matches!(
        q4([eights; 4], vec![f16::ONE; 2]),
        Some(QuantError::Length { what: "scales", .. })
    ));
    let shape = BlockShape::new(1, 31)?;
    assert!(check_q4(shape, &[eights; 3], &one()).is_err());

    let q8 = |at: usize, value: i8| {
        let mut values = vec![0; 64];
        values[at] = value;
        Q8Matrix::new(2, 31, values, vec![f16::ONE; 2]).err()
    };
    assert_eq!(q8(0, -127), None);
    assert!(matches!(
        q8(33, -128),
        Some(QuantError::Range { row: 1, col: 1, .. })
    ));
    assert!(matches!(
        q8(63, 1),
        Some(QuantError::Padding {
            row: 1,
            col: 31,
            ..
        })
    ));
    Ok(())
}

#[test]
fn zero_nibble_is_found_wherever_it_is() -> TestResult {
    let mut rng = StdRng::seed_from_u64(4);
    let shape = BlockShape::new(1, 32)?;
    for _ in 0..2000 {
        let words: [u32; 4] = rng.random();
        let expected = words
            .iter()
            .all(|w| (0..8).all(|i| (w >> (4 * i)) & 0xf != 0));
        let found = check_q4(shape, &words, &[f16::ONE]).is_ok();
        assert_eq!(found, expected, "{words:08x?}");
    }
    Ok(())
}

#[test]
fn matmul_and_gather_agree_with_the_dequantised_matrix() -> TestResult {
    let mut rng = StdRng::seed_from_u64(5);
    for (rows, cols) in SHAPES {
        for m in [0, 1, 3] {
            let w = weights(&mut rng, rows * cols);
            let x = weights(&mut rng, m * cols);
            let (q4, q8) = (quantize_q4(&w, rows, cols)?, quantize_q8(&w, rows, cols)?);
            check_product(&x, &q4.dequantize(), cols, &matmul_q4(&x, &q4)?);
            check_product(&x, &q8.dequantize(), cols, &matmul_q8(&x, &q8)?);

            let last = rows as u32 - 1;
            let ids = [last, 0, last];
            for (gathered, dense) in [
                (gather_q4(&ids, &q4)?, q4.dequantize()),
                (gather_q8(&ids, &q8)?, q8.dequantize()),
            ] {
                let expected = ids.iter().flat_map(|id| {
                    let start = *id as usize * cols;
                    dense[start..start + cols].to_vec()
                });
                assert_eq!(gathered, expected.collect::<Vec<f32>>());
            }
            assert!(matches!(
                gather_q4(&[rows as u32], &q4),
                Err(QuantError::NoSuchRow { .. })
            ));
        }
    }
    let q4 = quantize_q4(&[1.0; 6], 2, 3)?;
    assert!(matches!(
        matmul_q4(&[1.0; 4], &q4),
        Err(QuantError::PartialRow { cols: 3, actual: 4 })
    ));
    Ok(())
}

/// `found: [m, rows]` against `x: [m, cols]` times `w: [rows, cols]` transposed.
fn check_product(x: &[f32], w: &[f32], cols: usize, found: &[f32]) {
    let expected: Vec<f64> = x
        .chunks(cols)
        .flat_map(|x_row| {
            w.chunks(cols).map(move |w_row| {
                let terms = x_row.iter().zip(w_row);
                terms.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            })
        })
        .collect();
    assert_eq!(expected.len(), found.len());
    for (i, (e, f)) in expected.iter().zip(found).enumerate() {
        // One rounding from f64 to f32: 2⁻²⁴ relative.
        let tolerance = 1e-7 * e.abs() + 1e-12;
        assert!((e - f64::from(*f)).abs() <= tolerance, "{i}: {e} and {f}");
    }
}
