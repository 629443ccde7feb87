//! The local-context learner, §4.1: self-attention, deformable attention and a feed-forward layer,
//! each added and then normalised. Reference: Honeybee's D-Abstractor.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use vmad_kernels::{Activation, Mask, attention};

use super::deformable::DeformableAttention;
use crate::ModelError;
use crate::config::LtcConfig;
use crate::nn::{LayerNorm, Linear, Mlp, merge_heads, split_heads};
use crate::weights::{Builder, Init};

#[derive(Module, Debug)]
struct Block {
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    self_norm: LayerNorm,
    deformable: DeformableAttention,
    deformable_norm: LayerNorm,
    mlp: Mlp,
    mlp_norm: LayerNorm,
    n_heads: usize,
}

impl Block {
    fn new(b: &mut Builder, c: &LtcConfig) -> Result<Self, ModelError> {
        let d = c.d_vision;
        let mut a = b.at("self_attn");
        let q = Linear::new(&mut a.at("q_proj"), d, d, Init::Xavier)?;
        let k = Linear::new(&mut a.at("k_proj"), d, d, Init::Xavier)?;
        let v = Linear::new(&mut a.at("v_proj"), d, d, Init::Xavier)?;
        let out = Linear::new(&mut a.at("out_proj"), d, d, Init::Xavier)?;
        let deformable =
            DeformableAttention::new(&mut b.at("encoder_attn"), d, c.n_heads, c.n_points)?;
        Ok(Self {
            self_norm: LayerNorm::new(&mut b.at("self_attn_layer_norm"), d, 1e-5)?,
            deformable,
            deformable_norm: LayerNorm::new(&mut b.at("encoder_attn_layer_norm"), d, 1e-5)?,
            mlp: Mlp::new(b, ("fc1", "fc2"), [d, c.d_ff, d], Init::Xavier)?,
            mlp_norm: LayerNorm::new(&mut b.at("final_layer_norm"), d, 1e-5)?,
            n_heads: c.n_heads,
            q,
            k,
            v,
            out,
        })
    }

    fn forward(
        &self,
        q: Tensor<3>,
        position: &Tensor<3>,
        reference: &Tensor<2>,
        value: &Tensor<3>,
    ) -> Tensor<3> {
        let placed = q.clone() + position.clone();
        let heads = |layer: &Linear, x| split_heads(layer.forward(x), self.n_heads);
        let attended = attention(
            heads(&self.q, placed.clone()),
            heads(&self.k, placed),
            heads(&self.v, q.clone()),
            Mask::None,
        );
        let q = self
            .self_norm
            .forward(self.out.forward_added(merge_heads(attended), q));
        let placed = q.clone() + position.clone();
        let sampled = self
            .deformable
            .forward(placed, reference.clone(), value.clone());
        let q = self.deformable_norm.forward(q + sampled);
        self.mlp_norm
            .forward(self.mlp.forward_added(q.clone(), Activation::Relu, q))
    }
}

/// The learner: one query per cell.
#[derive(Module, Debug)]
pub struct Learner {
    query: Param<Tensor<2>>,
    pos: Param<Tensor<2>>,
    blocks: Vec<Block>,
    grid: usize,
}

impl Learner {
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, c: &LtcConfig) -> Result<Self, ModelError> {
        let shape = [c.grid * c.grid, c.d_vision];
        let query = b.dense("query", shape, Init::Normal(0.02))?;
        let pos = b.dense("pos", shape, Init::Normal(0.02))?;
        let mut layers = b.at("blocks");
        let blocks = (0..c.n_learner_blocks)
            .map(|i| Block::new(&mut layers.at(i), c))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            query,
            pos,
            blocks,
            grid: c.grid,
        })
    }

    /// Keeps the shape `[batch, grid², d_vision]`.
    pub fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        let [batch, ..] = features.dims();
        let x = features + self.pos.val().unsqueeze();
        let reference = cell_centres(self.grid, &x);
        let query = self.query.val().unsqueeze::<3>().repeat_dim(0, batch);
        self.blocks
            .iter()
            .fold(query, |q, block| block.forward(q, &x, &reference, &x))
    }
}

/// Equation (19) for one query per cell: (x, y) of every centre, cells, row-major.
///
/// # Shapes
/// - output: `[grid², 2]`
fn cell_centres(grid: usize, like: &Tensor<3>) -> Tensor<2> {
    let centres: Vec<f32> = (0..grid)
        .flat_map(|row| (0..grid).flat_map(move |col| [col as f32 + 0.5, row as f32 + 0.5]))
        .collect();
    Tensor::from_data(TensorData::new(centres, [grid * grid, 2]), &like.device())
}
