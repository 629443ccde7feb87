//! Matrices read through strides.

/// A matrix: its numbers, and the strides of its rows and columns.
pub(super) type Strided<'a> = (&'a [f32], [usize; 2]);
