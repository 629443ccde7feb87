//! Parts of a model, one call each: uploaded, computed and read back.

use std::rc::Rc;

use burn::tensor::{Device, Tensor};
use vmad_engine::{CancelToken, DeviceChoice, Engine, MemorySource, SystemHost, select_device};
use vmad_model::config::ClipConfig;
use vmad_model::llama::KvCache;
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::{read, upload};

/// The files of a package for a [`Model`].
#[wasm_bindgen]
#[derive(Default)]
pub struct Package {
    files: MemorySource,
}

#[wasm_bindgen]
impl Package {
    /// A package without files.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    pub fn add(&mut self, name: String, bytes: Vec<u8>) {
        self.files.insert(name, bytes);
    }
}

/// A model on a device, opened as a visitor's is, with the cache of its language model.
#[wasm_bindgen]
pub struct Model {
    engine: Engine,
    cache: KvCache,
}

#[wasm_bindgen]
impl Model {
    /// Opens a package on the GPU or the CPU.
    ///
    /// # Errors
    /// A package or GPU that cannot be used.
    pub async fn load(gpu: bool, package: Package) -> Result<Self, JsError> {
        let choice = match gpu {
            true => DeviceChoice::Gpu,
            false => DeviceChoice::Cpu,
        };
        let device = select_device(choice).await?;
        let host = Rc::new(SystemHost::new());
        let cancel = CancelToken::new();
        let files = &package.files;
        let engine = Engine::open(files, device, host, &mut |_| (), &cancel).await?;
        let cache = KvCache::new(&engine.config().llm);
        Ok(Self { engine, cache })
    }

    /// CLIP's hidden states at the taps, side by side.
    ///
    /// # Shapes
    /// - pixels: `[3, image_size, image_size]`
    /// - prior: `[PRIOR_CHANNELS, prior_side, prior_side]`; empty where the model takes none
    /// - output: `[grid², taps · d_model]`
    ///
    /// # Errors
    /// A wrong number of values; a result that cannot be read.
    pub async fn clip(&self, pixels: Vec<f32>, prior: Vec<f32>) -> Result<Vec<f32>, JsError> {
        let config = &self.engine.config().clip;
        let side = config.image_size;
        let pixels = upload(pixels, [1, 3, side, side], self.device())?;
        let prior = if config.similarity_prompt {
            let side = config.prior_side();
            let shape = [1, ClipConfig::PRIOR_CHANNELS, side, side];
            Some(upload(prior, shape, self.device())?)
        } else {
            None
        };
        let output = self.engine.model().clip.forward(pixels, prior);
        read(Tensor::cat(output.taps, 2)).await
    }

    /// SAM's image embedding.
    ///
    /// # Shapes
    /// - pixels: `[3, image_size, image_size]`
    /// - output: `[d_out, grid, grid]`
    ///
    /// # Errors
    /// As [`Self::clip`].
    pub async fn sam(&self, pixels: Vec<f32>) -> Result<Vec<f32>, JsError> {
        let side = self.engine.config().sam.image_size;
        let pixels = upload(pixels, [1, 3, side, side], self.device())?;
        read(self.engine.model().sam_encoder.forward(pixels)).await
    }

    /// Empties the cache, runs the language model over tokens and returns the logits of the next.
    ///
    /// # Shapes
    /// - output: `[vocab_size]`
    ///
    /// # Errors
    /// No token, an unknown one, more than the context holds; a result that cannot be read.
    pub async fn prefill(&mut self, ids: Vec<i32>) -> Result<Vec<f32>, JsError> {
        self.cache = KvCache::new(&self.engine.config().llm);
        self.forward(&ids).await
    }

    /// Runs the language model over one more token and returns the logits of the next.
    ///
    /// # Shapes
    /// - output: `[vocab_size]`
    ///
    /// # Errors
    /// As [`Self::prefill`].
    pub async fn step(&mut self, id: i32) -> Result<Vec<f32>, JsError> {
        self.forward(&[id]).await
    }

    /// Drops all tokens of the cache after the first `n`.
    pub fn rewind(&mut self, n: usize) {
        self.cache.truncate(n);
    }

    fn device(&self) -> &Device {
        &self.engine.device().device
    }

    async fn forward(&mut self, ids: &[i32]) -> Result<Vec<f32>, JsError> {
        if ids.is_empty() {
            return Err(JsError::new("no token"));
        }
        let llm = &self.engine.model().llm;
        let x = llm.embed(ids, &self.engine.device().device)?;
        let hidden = llm.forward(x.unsqueeze::<3>(), &mut self.cache)?;
        let [_, n, d_model] = hidden.dims();
        let last = hidden.narrow(1, n - 1, 1).reshape([1, d_model]);
        read(llm.logits(last)).await
    }
}
