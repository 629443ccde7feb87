// Numbers that shaders and Rust share: the build script writes every constant of this file into Rust.

// The widest head that attention_decode and region_attention have memory for.
const MAX_HEAD_WIDTH: u32 = 128u;

// Activations of a linear layer and of batch_norm.
const ACTIVATION_NONE: u32 = 0u;
const ACTIVATION_GELU: u32 = 1u;
const ACTIVATION_QUICK_GELU: u32 = 2u;
const ACTIVATION_RELU: u32 = 3u;

// Layouts of a linear layer's output. OUTPUT_ROWS: parts of `part_rows` rows, `[parts, tokens, part_rows]`; one part is
// the plain layout. OUTPUT_GATED: SiLU of the first half of the rows times the second, `[tokens, rows / 2]`.
const OUTPUT_ROWS: u32 = 0u;
const OUTPUT_GATED: u32 = 1u;
