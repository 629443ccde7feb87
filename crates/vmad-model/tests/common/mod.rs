//! Reads the fixtures that `tests/reference` writes and compares tensors with them.
#![expect(clippy::unwrap_used, reason = "a broken fixture must fail the test")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::SafeTensors;
use vmad_model::{Init, LoadedWeight, ModelError, WeightSource};

/// Largest absolute difference from the reference that a test accepts, in f32. The reference's own
/// f32 run differs from its f64 run by at most 3e-6; the rest is room for another order of sums.
pub const TOLERANCE: f32 = 1e-4;

/// A fixture file in memory.
pub struct Fixture {
    tensors: HashMap<String, (Vec<usize>, Vec<f32>)>,
    ints: HashMap<String, Vec<i32>>,
    pub config: serde_json::Value,
    name: String,
}

impl Fixture {
    pub fn read(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join(format!("../../tests/fixtures/model/{name}.safetensors"));
        let bytes = std::fs::read(&path).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let config = metadata.metadata().as_ref().unwrap()["config"].clone();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors = HashMap::new();
        let mut ints = HashMap::new();
        for (name, view) in file.tensors() {
            let words = view
                .data()
                .chunks_exact(4)
                .map(|c| <[u8; 4]>::try_from(c).unwrap());
            if view.dtype() == safetensors::Dtype::I32 {
                ints.insert(name, words.map(i32::from_le_bytes).collect());
            } else {
                let values = words.map(f32::from_le_bytes).collect();
                tensors.insert(name, (view.shape().to_vec(), values));
            }
        }
        let config = serde_json::from_str(&config).unwrap();
        Self {
            tensors,
            ints,
            config,
            name: name.to_owned(),
        }
    }

    /// One part of the configuration.
    pub fn config<T: serde::de::DeserializeOwned>(&self, part: &str) -> T {
        serde_json::from_value(self.config[part].clone()).unwrap()
    }

    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (shape, values) = &self.tensors[name];
        Tensor::from_data(TensorData::new(values.clone(), shape.clone()), device)
    }

    pub fn shape(&self, name: &str) -> &[usize] {
        &self.tensors[name].0
    }

    pub fn ints(&self, name: &str) -> &[i32] {
        &self.ints[name]
    }

    /// Fails with the index and both values of the largest difference.
    pub fn check<const D: usize>(&self, name: &str, actual: Tensor<D>) {
        let (shape, expected) = &self.tensors[name];
        assert_eq!(
            actual.dims().as_slice(),
            shape,
            "{}: {name}: shape",
            self.name
        );
        let actual: Vec<f32> = actual.into_data().iter::<f32>().collect();
        let (at, worst) = actual
            .iter()
            .zip(expected)
            .map(|(a, e)| (a - e).abs())
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap();
        assert!(
            worst <= TOLERANCE,
            "{}: {name}[{at}] is {}, the reference says {} (difference {worst})",
            self.name,
            actual[at],
            expected[at]
        );
    }

    /// Names of the fixture's weights.
    pub fn weight_names(&self) -> BTreeSet<&str> {
        let names = self.tensors.keys().map(String::as_str);
        names
            .filter(|name| !name.starts_with("in.") && !name.starts_with("out."))
            .collect()
    }

    /// The fixture's weights on `device`.
    pub fn weights<'a>(&'a self, device: &Device) -> Weights<'a> {
        Weights {
            fixture: self,
            device: device.clone(),
            zeroed: Vec::new(),
        }
    }
}

/// Hands out a fixture's weights.
pub struct Weights<'a> {
    fixture: &'a Fixture,
    device: Device,
    /// Names that are handed out as zeros.
    pub zeroed: Vec<&'static str>,
}

impl WeightSource for Weights<'_> {
    fn take(
        &mut self,
        name: &str,
        shape: &[usize],
        _init: Init,
    ) -> Result<LoadedWeight, ModelError> {
        let (actual, values) =
            self.fixture
                .tensors
                .get(name)
                .ok_or_else(|| ModelError::Missing {
                    name: name.to_owned(),
                    expected: shape.to_vec(),
                })?;
        if actual != shape {
            return Err(ModelError::Shape {
                name: name.to_owned(),
                expected: shape.to_vec(),
                actual: actual.clone(),
            });
        }
        let len = values.len();
        let values = if self.zeroed.contains(&name) {
            vec![0.0; len]
        } else {
            values.clone()
        };
        let flat = Tensor::from_data(TensorData::new(values, [len]), &self.device);
        Ok(LoadedWeight::Dense(flat, shape.to_vec()))
    }
}

/// Runs `test` on the CPU backend and, where there is an adapter, on wgpu.
pub fn on_every_device(test: impl Fn(&Device)) {
    // Tests of one process share the adapter, which can be set up only once.
    static ADAPTER: std::sync::Mutex<()> = std::sync::Mutex::new(());
    test(&vmad_kernels::cpu_device());
    let guard = ADAPTER.lock();
    match pollster::block_on(vmad_kernels::gpu_device()) {
        Ok((device, _)) => test(&device),
        Err(error) => {
            assert!(
                std::env::var_os("VMAD_REQUIRE_GPU").is_none(),
                "no adapter: {error}"
            );
            eprintln!("skipped on wgpu: no adapter ({error})");
        }
    }
    drop(guard);
}
