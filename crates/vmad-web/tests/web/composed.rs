//! The whole model against the reference values of `tests/reference`, as the browser computes it.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};
use vmad_engine::{DeviceChoice, select_device};
use vmad_model::llama::KvCache;
use vmad_model::{Init, LoadedWeight, ModelError, Vmad, VmadConfig, WeightSource};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::browser::has_gpu;

const FIXTURE: &[u8] = include_bytes!("../../../../tests/fixtures/model/composed.safetensors");

/// Largest absolute difference in f32. The reference's own f32 run differs from its f64 run by at
/// most 3e-6; the rest is room for another order of sums.
const TOLERANCE: f32 = 1e-4;

const IMAGE_SENTINEL: i32 = -200;

struct Fixture {
    tensors: HashMap<String, (Vec<usize>, Vec<f32>)>,
    ids: Vec<i32>,
    state_index: usize,
    config: VmadConfig,
}

impl Fixture {
    fn read() -> Self {
        let (_, header) = SafeTensors::read_metadata(FIXTURE).unwrap();
        let config = header.metadata().as_ref().unwrap()["config"].as_str();
        let file = SafeTensors::deserialize(FIXTURE).unwrap();
        let words = |name: &str| -> Vec<[u8; 4]> {
            let bytes = file.tensor(name).unwrap().data();
            bytes.as_chunks().0.to_vec()
        };
        let ints =
            |name: &str| -> Vec<i32> { words(name).into_iter().map(i32::from_le_bytes).collect() };
        let floats = file.tensors().into_iter().filter_map(|(name, view)| {
            let values = words(&name).into_iter().map(f32::from_le_bytes);
            let tensor = (view.shape().to_vec(), values.collect::<Vec<f32>>());
            (view.dtype() == Dtype::F32).then_some((name, tensor))
        });
        Self {
            tensors: floats.collect(),
            ids: ints("in.llm.input_ids"),
            state_index: ints("out.seg.state_index")[0] as usize,
            config: serde_json::from_str(config).unwrap(),
        }
    }

    fn flat(&self, name: &str, device: &Device) -> (Tensor<1>, Vec<usize>) {
        let (shape, values) = &self.tensors[name];
        let data = TensorData::new(values.clone(), [values.len()]);
        (Tensor::from_data(data, device), shape.clone())
    }

    async fn check<const D: usize>(&self, name: &str, actual: Tensor<D>) {
        let actual = actual.into_data_async().await.unwrap();
        let actual = actual.try_into_vec::<f32>().unwrap();
        let (_, expected) = &self.tensors[name];
        assert_eq!(actual.len(), expected.len(), "{name}");
        for (at, (actual, expected)) in actual.iter().zip(expected).enumerate() {
            // Written so that a NaN fails.
            let is_close = (actual - expected).abs() <= TOLERANCE;
            assert!(
                is_close,
                "{name}[{at}] is {actual}, the reference says {expected}"
            );
        }
    }
}

struct Weights<'a>(&'a Fixture, &'a Device);

impl WeightSource for Weights<'_> {
    fn take(
        &mut self,
        name: &str,
        shape: &[usize],
        _init: Init,
    ) -> Result<LoadedWeight, ModelError> {
        let (flat, actual) = self.0.flat(name, self.1);
        assert_eq!(actual, shape, "{name}");
        Ok(LoadedWeight::Dense(flat, actual))
    }
}

async fn check(choice: DeviceChoice) {
    vmad_web::start();
    let device = select_device(choice).await.unwrap().device;
    let fixture = Fixture::read();
    let config = &fixture.config;
    let (model, _) = Vmad::new(config, &mut Weights(&fixture, &device)).unwrap();
    let pixels = |name| {
        let (flat, shape) = fixture.flat(name, &device);
        flat.reshape([1, shape[0], shape[1], shape[2]])
    };

    let clip = model.clip.forward(pixels("in.clip.pixels"), None);
    for (i, state) in clip.hidden_states.iter().enumerate() {
        let name = format!("out.clip.hidden.{i}");
        fixture.check(&name, state.clone()).await;
    }
    let visual = model.project(&clip.taps);
    fixture.check("out.projector.out", visual.clone()).await;

    let prompt = model.embed_prompt(&fixture.ids, IMAGE_SENTINEL, Some(&visual), &device);
    let mut cache = KvCache::new(&config.llm);
    let hidden = model.llm.forward(prompt.unwrap(), &mut cache).unwrap();
    fixture.check("out.llm.hidden", hidden.clone()).await;
    let hidden = hidden.squeeze_dim::<2>(0); // [n, d_text]
    let logits = model.llm.logits(hidden.clone());
    fixture.check("out.llm.logits", logits).await;

    let state = hidden.narrow(0, fixture.state_index, 1); // [1, d_text]
    let embedding = model.seg_embedding(state.clone());
    fixture.check("out.seg.embedding", embedding).await;
    let image = model.sam_encoder.forward(pixels("in.sam.pixels"));
    let name = "out.sam.image_embedding";
    fixture.check(name, image.clone()).await;
    let logits = model.segment(state, image, None);
    fixture.check("out.mask.logits", logits).await;
}

#[wasm_bindgen_test]
async fn composed_on_the_cpu() {
    check(DeviceChoice::Cpu).await;
}

#[wasm_bindgen_test]
async fn composed_on_webgpu() {
    if has_gpu().await {
        check(DeviceChoice::Gpu).await;
    }
}
