//! What the build script writes about the shaders.

use super::shaders::{
    AttentionParams, HeadStrides, LinearParams, MATMUL_Q4, MATMUL_Q8, MatvecParams, OUTPUT_GATED,
    Params, SampleParams,
};

/// Each field lies at its WGSL offset; the number of workgroups is in its place; the rest is zero.
#[test]
fn parameters_have_the_layout_of_wgsl() {
    let params = MatvecParams {
        n_tokens: 1,
        n_rows: 2,
        n_cols: 3,
        eps: 0.5,
    };
    assert_eq!(params.words(9), [1, 2, 3, 9, 0.5f32.to_bits(), 0, 0, 0]);
    let strides = |first| HeadStrides {
        batch: first,
        head: first + 1,
        row: first + 2,
    };
    let params = AttentionParams {
        n_q: 1,
        d_head: 5,
        scale: 0.25,
        n_parts: 12,
        q_strides: strides(13),
        bias_strides: strides(25),
        side: 29,
        ..AttentionParams::default()
    };
    let mut expected = [0; 32];
    for (word, value) in [(0, 1), (3, 7), (4, 5), (11, 12), (28, 29)] {
        expected[word] = value;
    }
    expected[7] = 0.25f32.to_bits();
    expected[12..15].copy_from_slice(&[13, 14, 15]);
    expected[24..27].copy_from_slice(&[25, 26, 27]);
    assert_eq!(params.words(7), expected);
}

/// A shader that runs in one workgroup has no field for their number.
#[test]
fn parameters_may_lack_the_number_of_workgroups() {
    let params = SampleParams {
        vocab_size: 4,
        uniform_draw: 1.0,
        ..SampleParams::default()
    };
    let expected = [4, 0, 0, 0, 0, 0, 1.0f32.to_bits(), 0];
    assert_eq!(params.words(77), expected);
}

#[test]
fn constants_come_from_wgsl() {
    assert_eq!((MATMUL_Q4.tile(), MATMUL_Q8.tile()), (64, 64));
    let params = LinearParams {
        output_layout: OUTPUT_GATED,
        ..LinearParams::default()
    };
    assert_eq!(params.words(0)[7], OUTPUT_GATED);
}
