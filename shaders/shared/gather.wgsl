// Parameters of `gather_q4` and `gather_q8`.
struct GatherParams {
    n_tokens: u32,
    n_rows: u32, // of the table
    n_cols: u32,
    groups_x: u32,
}
