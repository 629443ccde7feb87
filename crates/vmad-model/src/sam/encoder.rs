//! SAM's ViT: windowed and global attention with decomposed relative positions.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData};

use crate::ModelError;
use crate::config::SamConfig;
use crate::nn::{Conv2d, ConvShape, LayerNorm, Linear, Mlp, attend, gelu, merge_heads, to_image};
use crate::stem::{PatchEmbed, PatchShape};
use crate::weights::{Builder, Init};

/// Self-attention over a square of patches with the decomposed relative-position bias.
#[derive(Module, Debug)]
struct Attention {
    qkv: Linear,
    proj: Linear,
    rel_pos_h: Param<Tensor<2>>,
    rel_pos_w: Param<Tensor<2>>,
    n_heads: usize,
}

impl Attention {
    fn new(b: &mut Builder, c: &SamConfig, side: usize) -> Result<Self, ModelError> {
        let d = c.d_model;
        let shape = [2 * side - 1, d / c.n_heads];
        Ok(Self {
            qkv: Linear::new(&mut b.at("qkv"), d, 3 * d, Init::Xavier)?,
            proj: Linear::new(&mut b.at("proj"), d, d, Init::Xavier)?,
            rel_pos_h: b.dense("rel_pos_h", shape, Init::Zeros)?,
            rel_pos_w: b.dense("rel_pos_w", shape, Init::Zeros)?,
            n_heads: c.n_heads,
        })
    }

    /// Keeps the shape `[batch, side, side, d_model]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, side, _, d_model] = x.dims();
        let (n, n_heads) = (side * side, self.n_heads);
        let d_head = d_model / n_heads;
        let qkv = self
            .qkv
            .forward(x)
            .reshape([batch, n, 3, n_heads, d_head])
            .permute([2, 0, 3, 1, 4]); // [3, batch, n_heads, n, d_head]
        let part = |i: usize| {
            qkv.clone()
                .narrow(0, i, 1)
                .reshape([batch, n_heads, n, d_head])
        };
        let (q, k, v) = (part(0), part(1), part(2));
        let bias = self.position_bias(q.clone(), side);
        let attended = merge_heads(attend(q, k, v, Some(bias)));
        self.proj
            .forward(attended.reshape([batch, side, side, d_model]))
    }

    /// rel_h + rel_w of SAM's `add_decomposed_rel_pos`, from the unscaled queries.
    ///
    /// # Shapes
    /// - q: `[batch, n_heads, side², d_head]`
    /// - output: `[batch, n_heads, side², side²]`
    fn position_bias(&self, q: Tensor<4>, side: usize) -> Tensor<4> {
        let [batch, n_heads, n, d_head] = q.dims();
        let table_h = relative_table(&self.rel_pos_h.val(), side); // [row, key row, d_head]
        let table_w = relative_table(&self.rel_pos_w.val(), side);
        let q = q.reshape([batch * n_heads, side, side, d_head]);
        let by_row =
            q.clone()
                .permute([1, 0, 2, 3])
                .reshape([side, batch * n_heads * side, d_head]);
        let rel_h = by_row
            .matmul(table_h.swap_dims(1, 2))
            .reshape([side, batch * n_heads, side, side])
            .permute([1, 0, 2, 3]); // [batch·n_heads, row, col, key row]
        let by_col = q
            .permute([2, 0, 1, 3])
            .reshape([side, batch * n_heads * side, d_head]);
        let rel_w = by_col
            .matmul(table_w.swap_dims(1, 2))
            .reshape([side, batch * n_heads, side, side])
            .permute([1, 2, 0, 3]); // [batch·n_heads, row, col, key col]
        let rel_h = rel_h.reshape([batch * n_heads, n, side, 1]);
        let rel_w = rel_w.reshape([batch * n_heads, n, 1, side]);
        (rel_h + rel_w).reshape([batch, n_heads, n, n])
    }
}

/// Entry (i, j) is the table's row for offset i − j.
///
/// # Shapes
/// - table: `[2·side − 1, d_head]`
/// - output: `[side, side, d_head]`
fn relative_table(table: &Tensor<2>, side: usize) -> Tensor<3> {
    let [_, d_head] = table.dims();
    let offsets: Vec<i32> = (0..side)
        .flat_map(|i| (0..side).map(move |j| (i + side - 1 - j) as i32))
        .collect();
    let offsets =
        Tensor::<1, Int>::from_data(TensorData::new(offsets, [side * side]), &table.device());
    table
        .clone()
        .select(0, offsets)
        .reshape([side, side, d_head])
}

/// One pre-norm block; `window` 0 is global attention.
#[derive(Module, Debug)]
struct Block {
    norm1: LayerNorm,
    attn: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
    window: usize,
}

impl Block {
    fn new(b: &mut Builder, c: &SamConfig, index: usize) -> Result<Self, ModelError> {
        let window = if c.global_blocks.contains(&index) {
            0
        } else {
            c.window
        };
        let side = if window == 0 { c.grid() } else { window };
        let (d, eps) = (c.d_model, c.layer_norm_eps);
        Ok(Self {
            norm1: LayerNorm::new(&mut b.at("norm1"), d, eps)?,
            attn: Attention::new(&mut b.at("attn"), c, side)?,
            norm2: LayerNorm::new(&mut b.at("norm2"), d, eps)?,
            mlp: Mlp::new(
                &mut b.at("mlp"),
                ("lin1", "lin2"),
                [d, c.d_ff, d],
                Init::Xavier,
            )?,
            window,
        })
    }

    /// Keeps the shape `[batch, grid, grid, d_model]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let normed = self.norm1.forward(x.clone());
        let attended = if self.window == 0 {
            self.attn.forward(normed)
        } else {
            self.windowed(normed)
        };
        let x = x + attended;
        let h = self.norm2.forward(x.clone());
        x + self.mlp.forward(h, gelu)
    }

    /// Zero-pads to a multiple of the window, attends inside windows, crops.
    fn windowed(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, grid, _, d] = x.dims();
        let window = self.window;
        let n_windows = grid.div_ceil(window);
        let padded = n_windows * window;
        let x = if padded > grid {
            let device = x.device();
            let below = Tensor::zeros([batch, padded - grid, grid, d], &device);
            let x = Tensor::cat(vec![x, below], 1);
            let right = Tensor::zeros([batch, padded, padded - grid, d], &device);
            Tensor::cat(vec![x, right], 2)
        } else {
            x
        };
        let windows = x
            .reshape([batch, n_windows, window, n_windows, window, d])
            .swap_dims(2, 3) // [batch, window row, window col, window, window, d]
            .reshape([batch * n_windows * n_windows, window, window, d]);
        self.attn
            .forward(windows)
            .reshape([batch, n_windows, n_windows, window, window, d])
            .swap_dims(2, 3)
            .reshape([batch, padded, padded, d])
            .narrow(1, 0, grid)
            .narrow(2, 0, grid)
    }
}

/// The image encoder with its neck.
#[derive(Module, Debug)]
pub struct ImageEncoder {
    patches: PatchEmbed,
    pos_embed: Param<Tensor<4>>,
    blocks: Vec<Block>,
    neck_conv1: Linear,
    neck_norm1: LayerNorm,
    neck_conv2: Conv2d,
    neck_norm2: LayerNorm,
}

impl ImageEncoder {
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, c: &SamConfig) -> Result<Self, ModelError> {
        let (grid, d) = (c.grid(), c.d_model);
        let shape = PatchShape {
            stem: c.stem,
            patch_size: c.patch_size,
            d_model: d,
            eps: c.layer_norm_eps,
            bias: true,
        };
        let patches = PatchEmbed::new(&mut b.at("patch_embed"), "proj", shape)?;
        let pos_embed = b.dense("pos_embed", [1, grid, grid, d], Init::Normal(0.02))?;
        let mut layers = b.at("blocks");
        let blocks = (0..c.n_layers)
            .map(|i| Block::new(&mut layers.at(i), c, i))
            .collect::<Result<_, _>>()?;
        let mut neck = b.at("neck");
        let conv2 = ConvShape {
            d_in: c.d_out,
            d_out: c.d_out,
            kernel: 3,
            stride: 1,
            padding: 1,
            groups: 1,
            bias: false,
        };
        Ok(Self {
            patches,
            pos_embed,
            blocks,
            neck_conv1: Linear::pointwise(&mut neck.at(0), d, c.d_out, false)?,
            neck_norm1: LayerNorm::new(&mut neck.at(1), c.d_out, 1e-6)?,
            neck_conv2: Conv2d::new(&mut neck.at(2), conv2)?,
            neck_norm2: LayerNorm::new(&mut neck.at(3), c.d_out, 1e-6)?,
        })
    }

    /// # Shapes
    /// - pixels: `[batch, 3, image_size, image_size]`, normalised, zero-padded right and below
    /// - output: `[batch, d_out, grid, grid]`
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<4> {
        let [_, grid, _, d] = self.pos_embed.dims();
        let [batch, ..] = pixels.dims();
        let patches = self.patches.forward(pixels);
        let x = patches.reshape([batch, grid, grid, d]) + self.pos_embed.val();
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        let x = self.neck_norm1.forward(self.neck_conv1.forward(x));
        self.neck_norm2
            .forward_image(self.neck_conv2.forward(to_image(x)))
    }
}
