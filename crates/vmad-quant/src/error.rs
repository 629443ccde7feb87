/// What can be wrong with a quantised matrix or with the data for one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QuantError {
    /// A matrix needs at least one row and one column.
    #[error("a matrix of {rows} x {cols} is empty")]
    Empty {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
    },
    /// The matrix would not fit into the address space.
    #[error("a matrix of {rows} x {cols} is larger than the address space")]
    TooLarge {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
    },
    /// A buffer does not have the length that the shape demands.
    #[error("{what}: {actual} elements, the shape demands {expected}")]
    Length {
        /// Which buffer.
        what: &'static str,
        /// Elements that the shape demands.
        expected: usize,
        /// Elements that are there.
        actual: usize,
    },
    /// The input of a product is not a whole number of rows.
    #[error("input of {actual} elements is not a whole number of rows of {cols}")]
    PartialRow {
        /// Columns of the weight.
        cols: usize,
        /// Elements that are there.
        actual: usize,
    },
    /// NaN and infinity have no quantised form.
    #[error("value at row {row}, column {col} is {value}")]
    NonFinite {
        /// Row of the value.
        row: usize,
        /// Column of the value.
        col: usize,
        /// The value.
        value: f32,
    },
    /// A block's values are so large that their scale is beyond `f16`.
    #[error("row {row}, block {block}: magnitude {max_abs} needs a scale beyond f16")]
    ScaleOverflow {
        /// Row of the block.
        row: usize,
        /// Block within the row.
        block: usize,
        /// Largest magnitude in the block.
        max_abs: f32,
    },
    /// A stored scale is NaN or infinite.
    #[error("scale at row {row}, block {block} is {value}")]
    Scale {
        /// Row of the block.
        row: usize,
        /// Block within the row.
        block: usize,
        /// The scale.
        value: f32,
    },
    /// A stored integer is outside its symmetric range.
    #[error("quantised value at row {row}, column {col} is {value}, the range is -{max} ..= {max}")]
    Range {
        /// Row of the value.
        row: usize,
        /// Column of the value.
        col: usize,
        /// The value.
        value: i32,
        /// Largest magnitude allowed.
        max: i32,
    },
    /// The padding of a row's last block is not zero.
    #[error("padding at row {row}, column {col} is {value}, it must be 0")]
    Padding {
        /// Row of the value.
        row: usize,
        /// Column of the value, beyond the last real one.
        col: usize,
        /// The value.
        value: i32,
    },
    /// A row was asked for that the matrix does not have.
    #[error("row {id} of a matrix with {rows} rows")]
    NoSuchRow {
        /// The row asked for.
        id: u32,
        /// Rows of the matrix.
        rows: usize,
    },
}
