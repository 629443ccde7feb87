//! f32 products through strides.

use super::strided::Strided;

/// `out = scale · a · b` for `a` of `m` × `k` and `b` of `k` × `n`. `a` and `out` come with the strides of their rows.
///
/// # Panics
/// When a matrix ends before its last element.
pub(super) fn gemm(
    sizes: [usize; 3],
    scale: f32,
    a: (&[f32], usize),
    b: Strided,
    (out, stride): (&mut [f32], usize),
) {
    let [m, n, k] = sizes;
    let holds = |values: &[f32], [row, column]: [usize; 2], rows: usize, columns: usize| {
        (rows - 1) * row + (columns - 1) * column < values.len()
    };
    assert!(
        holds(a.0, [a.1, 1], m, k) && holds(b.0, b.1, k, n) && holds(out, [stride, 1], m, n),
        "gemm: {m}×{k} of {a:?}, {k}×{n} of {b:?} into {} with {stride} a row",
        out.len(),
        a = (a.0.len(), a.1),
        b = (b.0.len(), b.1),
    );
    #[cfg(target_family = "wasm")]
    super::panels::gemm(sizes, scale, a, b, (out, stride));
    #[cfg(not(target_family = "wasm"))]
    // SAFETY: the assertion above guarantees that every addressed element exists, and `out` is borrowed exclusively.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride as isize,
            false,
            a.0.as_ptr(),
            1,
            a.1 as isize,
            b.0.as_ptr(),
            b.1[1] as isize,
            b.1[0] as isize,
            0.0,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
