//! LLaMA (Touvron et al. 2023); reference: transformers' `LlamaForCausalLM`.

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};
use vmad_kernels::{KvLayer, Rotary};

use crate::ModelError;
use crate::config::LlamaConfig;
use crate::nn::{Embedding, FusedLinear, Linear, RmsNorm};
use crate::weights::{Builder, Init};

/// Keys and values of all positions so far.
#[derive(Clone, Debug)]
pub struct KvCache {
    layers: Vec<KvLayer>,
    rotary: Rotary,
    len: usize,
}

impl KvCache {
    /// An empty cache for `config`.
    #[must_use]
    pub fn new(config: &LlamaConfig) -> Self {
        Self {
            layers: vec![KvLayer::default(); config.n_layers],
            rotary: Rotary::new(config.rope_theta, config.d_head()),
            len: 0,
        }
    }

    /// Positions held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Drops all positions after the first `len`.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        self.len = len;
        for layer in &mut self.layers {
            layer.truncate(len);
        }
    }

    /// Bytes on the device.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.layers.iter().map(KvLayer::bytes).sum()
    }
}

/// A projection that an [`Adapter`] can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projection {
    /// `q_proj`
    Query,
    /// `v_proj`
    Value,
}

/// Adds to projections of the language model, as LoRA does in training. Inference uses none.
pub trait Adapter {
    /// The addend of the projection of `x` in block `layer`; `None` adds nothing.
    ///
    /// # Shapes
    /// - x: `[batch, n, d_model]`
    /// - output: `[batch, n, d_out]`, as wide as the projection's
    fn delta(&self, layer: usize, projection: Projection, x: &Tensor<3>) -> Option<Tensor<3>>;
}

/// One block: attention and SwiGLU, each after a norm, each added.
#[derive(Module, Debug)]
struct Block {
    attention_norm: RmsNorm,
    qkv: FusedLinear,
    o: Linear,
    mlp_norm: RmsNorm,
    gate_up: FusedLinear,
    down: Linear,
    n_heads: usize,
    n_kv_heads: usize,
}

impl Block {
    fn new(b: &mut Builder, c: &LlamaConfig) -> Result<Self, ModelError> {
        let (d, d_kv) = (c.d_model, c.n_kv_heads * c.d_head());
        let mut a = b.at("self_attn");
        let q = Linear::without_bias(&mut a.at("q_proj"), d, d, Init::Xavier)?;
        let k = Linear::without_bias(&mut a.at("k_proj"), d, d_kv, Init::Xavier)?;
        let v = Linear::without_bias(&mut a.at("v_proj"), d, d_kv, Init::Xavier)?;
        let o = Linear::without_bias(&mut a.at("o_proj"), d, d, Init::Xavier)?;
        let mut m = b.at("mlp");
        let gate = Linear::without_bias(&mut m.at("gate_proj"), d, c.d_ff, Init::Xavier)?;
        let up = Linear::without_bias(&mut m.at("up_proj"), d, c.d_ff, Init::Xavier)?;
        let down = Linear::without_bias(&mut m.at("down_proj"), c.d_ff, d, Init::Xavier)?;
        Ok(Self {
            attention_norm: RmsNorm::new(&mut b.at("input_layernorm"), d, c.rms_norm_eps)?,
            mlp_norm: RmsNorm::new(&mut b.at("post_attention_layernorm"), d, c.rms_norm_eps)?,
            n_heads: c.n_heads,
            n_kv_heads: c.n_kv_heads,
            qkv: FusedLinear::new(vec![q, k, v]),
            o,
            gate_up: FusedLinear::new(vec![gate, up]),
            down,
        })
    }

    /// Keeps the shape `[batch, n, d_model]`. The first of the positions is `start`; the adapter, if there
    /// is one, knows the block by its number.
    fn forward(
        &self,
        x: Tensor<3>,
        rotary: &mut Rotary,
        start: usize,
        layer: &mut KvLayer,
        adapter: Option<(&dyn Adapter, usize)>,
    ) -> Tensor<3> {
        let [batch, n, _] = x.dims();
        let heads = |x: Tensor<3>, n_heads: usize| {
            let [.., d] = x.dims();
            x.reshape([batch, n, n_heads, d / n_heads])
        };
        let all = match adapter {
            None => self.qkv.forward_normed(&x, &self.attention_norm),
            Some(_) => None,
        };
        let attended = match all {
            Some(qkv) => {
                let qkv = heads(qkv, self.n_heads + 2 * self.n_kv_heads);
                layer.attend_stacked(qkv, self.n_kv_heads, rotary, start)
            }
            None => {
                let h = self.attention_norm.forward(x.clone());
                let adapted = |x: Tensor<3>, projection| match adapter
                    .and_then(|(adapter, i)| adapter.delta(i, projection, &h))
                {
                    Some(delta) => x + delta,
                    None => x,
                };
                let Ok([q, k, v]) = <[_; 3]>::try_from(self.qkv.forward(h.clone())) else {
                    unreachable!("three layers by construction")
                };
                let q = heads(adapted(q, Projection::Query), self.n_heads);
                let k = heads(k, self.n_kv_heads);
                let v = heads(adapted(v, Projection::Value), self.n_kv_heads);
                layer.attend([q, k, v], rotary, start)
            }
        };
        let x = self.o.forward_added(attended, x);
        let gated = self.gate_up.gated(x.clone(), &self.mlp_norm);
        self.down.forward_added(gated, x)
    }
}

/// The language model.
#[derive(Module, Debug)]
pub struct Llama {
    embed_tokens: Embedding,
    blocks: Vec<Block>,
    norm: RmsNorm,
    lm_head: Option<Linear>,
    max_positions: usize,
}

impl Llama {
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, c: &LlamaConfig) -> Result<Self, ModelError> {
        let embed_tokens = Embedding::new(&mut b.at("embed_tokens"), c.vocab_size, c.d_model)?;
        let mut layers = b.at("layers");
        let blocks = (0..c.n_layers)
            .map(|i| Block::new(&mut layers.at(i), c))
            .collect::<Result<_, _>>()?;
        let norm = RmsNorm::new(&mut b.at("norm"), c.d_model, c.rms_norm_eps)?;
        let lm_head = if c.tie_embeddings {
            None
        } else {
            let init = Init::Normal(0.02);
            let mut head = b.at("lm_head");
            Some(Linear::without_bias(
                &mut head,
                c.d_model,
                c.vocab_size,
                init,
            )?)
        };
        Ok(Self {
            embed_tokens,
            blocks,
            norm,
            lm_head,
            max_positions: c.max_positions,
        })
    }

    /// Embeds token ids.
    ///
    /// # Shapes
    /// - output: `[ids.len(), d_model]`
    ///
    /// # Errors
    /// An id outside the vocabulary.
    pub fn embed(
        &self,
        ids: &[i32],
        device: &burn::tensor::Device,
    ) -> Result<Tensor<2>, ModelError> {
        let vocab_size = self.embed_tokens.vocab_size;
        if let Some(id) = ids
            .iter()
            .find(|id| **id < 0 || **id as usize >= vocab_size)
        {
            return Err(ModelError::TokenId {
                id: *id,
                vocab_size,
            });
        }
        let ids = Tensor::<1, Int>::from_data(TensorData::new(ids.to_vec(), [ids.len()]), device);
        Ok(self.embed_chosen(ids))
    }

    /// Embeds token ids that the device holds, all of them of the vocabulary.
    ///
    /// # Shapes
    /// - ids: `[n]`
    /// - output: `[n, d_model]`
    pub fn embed_chosen(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        self.embed_tokens.forward(ids)
    }

    /// Runs the blocks over new positions and extends `cache` by them.
    ///
    /// # Shapes
    /// - x: `[batch, n, d_model]`, token or visual embeddings
    /// - output: `[batch, n, d_model]`, after the final norm
    ///
    /// # Errors
    /// [`ModelError::ContextFull`] when the positions run out; the cache is left as it was.
    pub fn forward(&self, x: Tensor<3>, cache: &mut KvCache) -> Result<Tensor<3>, ModelError> {
        self.forward_adapted(x, cache, None)
    }

    /// [`Self::forward`] with what `adapter` adds to the projections.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn forward_adapted(
        &self,
        x: Tensor<3>,
        cache: &mut KvCache,
        adapter: Option<&dyn Adapter>,
    ) -> Result<Tensor<3>, ModelError> {
        let [_, n, _] = x.dims();
        let start = cache.len;
        let needed = start + n;
        if needed > self.max_positions {
            return Err(ModelError::ContextFull {
                needed,
                limit: self.max_positions,
            });
        }
        let KvCache { layers, rotary, .. } = cache;
        let x = self
            .blocks
            .iter()
            .zip(layers)
            .enumerate()
            .fold(x, |x, (index, (block, layer))| {
                let adapter = adapter.map(|adapter| (adapter, index));
                block.forward(x, rotary, start, layer, adapter)
            });
        cache.len = needed;
        Ok(self.norm.forward(x))
    }

    /// Scores of the next token.
    ///
    /// # Shapes
    /// - hidden: `[m, d_model]`
    /// - output: `[m, vocab_size]`
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        match &self.lm_head {
            Some(head) => head.forward(hidden),
            None => self.embed_tokens.as_head(hidden),
        }
    }
}
