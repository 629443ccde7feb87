//! The CPU time of launching a decoding step, during which a GPU waits.

use burn::tensor::{Device, Int, Tensor};
use half::f16;
use vmad_engine::{Host, SystemHost};
use vmad_kernels::{Draw, QuantWeight, SampledTokens, gpu_device};
use vmad_model::config::LlamaConfig;
use vmad_model::llama::{KvCache, Llama};
use vmad_model::{Builder, Init, LoadedWeight, ModelError, WeightSource};
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

/// The most tokens of a [`Decoder`].
const MAX_TOKENS: usize = 512;

/// A narrow language model of a given depth: the cost of a launch does not depend on the width. It decodes as the engine
/// does: each token is sampled on the GPU and embedded there for the next step.
#[wasm_bindgen]
pub struct Decoder {
    llm: Llama,
    cache: KvCache,
    sampled: SampledTokens,
    last: Tensor<1, Int>,
    host: SystemHost,
}

#[wasm_bindgen]
impl Decoder {
    /// A model of `n_layers` blocks on the GPU.
    ///
    /// # Errors
    /// A GPU that cannot be used.
    pub async fn load(n_layers: usize) -> Result<Self, JsError> {
        let device = gpu_device().await?.0;
        let config = LlamaConfig {
            vocab_size: 1024,
            d_model: 256,
            n_layers,
            n_heads: 4,
            n_kv_heads: 4,
            d_ff: 512,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            max_positions: MAX_TOKENS,
            tie_embeddings: true,
        };
        let mut names = Vec::new();
        let mut weights = ArbitraryWeights {
            device: device.clone(),
        };
        let llm = Llama::new(&mut Builder::new(&mut weights, &mut names), &config)?;
        Ok(Self {
            cache: KvCache::new(&config),
            sampled: SampledTokens::new(MAX_TOKENS, &device),
            last: Tensor::from_data([0, 0], &device),
            host: SystemHost::new(),
            llm,
        })
    }

    /// Decodes one token; returns the milliseconds of its launches, without its readback.
    ///
    /// # Errors
    /// A full context; a result that cannot be read.
    pub async fn step(&mut self) -> Result<f64, JsError> {
        let start = self.host.now_ms();
        let x = self.llm.embed_chosen(self.last.clone().narrow(0, 0, 1));
        let hidden = self.llm.forward(x.unsqueeze::<3>(), &mut self.cache)?;
        let [_, _, d_model] = hidden.dims();
        let logits = self.llm.logits(hidden.reshape([1, d_model]));
        self.last = self.sampled.next(logits, Draw::GREEDY);
        let spent = self.host.now_ms() - start;
        let read = self.last.clone().into_data_async().await;
        read.map_err(|error| JsError::new(&format!("{error:?}")))?;
        Ok(spent)
    }
}

/// Arbitrary small weights; matrices are int4 without its lowest value, which is not allowed.
struct ArbitraryWeights {
    device: Device,
}

impl WeightSource for ArbitraryWeights {
    fn take(&mut self, _: &str, shape: &[usize], _: Init) -> Result<LoadedWeight, ModelError> {
        let &[rows, cols] = shape else {
            let n: usize = shape.iter().product();
            let ones = Tensor::ones([n], &self.device);
            return Ok(LoadedWeight::Dense(ones, shape.to_vec()));
        };
        let blocks = rows * cols.div_ceil(32);
        let words: Vec<u32> = (0..blocks as u32 * 4)
            .map(|i| i.wrapping_mul(0x9e37_79b9) | 0x1111_1111)
            .collect();
        let scales = vec![f16::from_f32(0.01); blocks];
        QuantWeight::from_q4(rows, cols, &words, &scales, &self.device)
            .map(LoadedWeight::Quant)
            .map_err(|error| ModelError::Config(error.to_string()))
    }
}
