//! Products of floats through strides.

/// A matrix: its numbers, and how far apart its rows and its columns lie.
pub(super) type Strided<'a> = (&'a [f32], [usize; 2]);

/// `out = scale · a · b`, of `m` × `k` and `k` × `n`; rows of `a` and of `out` lie as far apart as is said with them.
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
    // SAFETY: all elements that are addressed exist, as was just made sure of, and `out` is borrowed by nobody else.
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
