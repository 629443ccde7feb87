//! One matrix times activations.

use burn::tensor::Device;
use half::f16;
use vmad_kernels::{QuantWeight, cpu_device, gpu_device, matmul_quant};
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::{read, upload};

/// A packed matrix on a device.
#[wasm_bindgen]
pub struct Product {
    weight: QuantWeight,
    device: Device,
}

#[wasm_bindgen]
impl Product {
    /// Uploads a matrix of `rows` × `cols` whose values have `bits` bits, 4 or 8, to the GPU or the CPU.
    ///
    /// `values` holds a row's blocks of 32 columns one after the other: signed bytes, or nibbles plus eight, the lower first.
    /// `scales` holds one f16 per block. No self-test runs first: the caller compares results.
    ///
    /// # Errors
    /// A matrix or GPU that cannot be used.
    pub async fn load(
        gpu: bool,
        bits: u8,
        rows: usize,
        cols: usize,
        values: Vec<u8>,
        scales: Vec<u16>,
    ) -> Result<Self, JsError> {
        let device = if gpu {
            gpu_device().await?.0
        } else {
            cpu_device()
        };
        let scales: Vec<f16> = scales.into_iter().map(f16::from_bits).collect();
        let weight = match bits {
            4 => {
                let words = values.as_chunks::<4>().0;
                let words: Vec<u32> = words.iter().map(|&word| u32::from_le_bytes(word)).collect();
                QuantWeight::from_q4(rows, cols, &words, &scales, &device)?
            }
            8 => {
                let values: Vec<i8> = values.into_iter().map(u8::cast_signed).collect();
                QuantWeight::from_q8(rows, cols, &values, &scales, &device)?
            }
            other => return Err(JsError::new(&format!("values of {other} bits: 4 or 8"))),
        };
        Ok(Self { weight, device })
    }

    /// `x · dequant(W)ᵀ` for as many tokens as `x` has, read back.
    ///
    /// # Errors
    /// An `x` that is no multiple of `cols`; a result that cannot be read.
    pub async fn run(&self, x: Vec<f32>) -> Result<Vec<f32>, JsError> {
        let cols = self.weight.cols();
        if x.is_empty() || !x.len().is_multiple_of(cols) {
            let length = x.len();
            return Err(JsError::new(&format!("{length} values for {cols} columns")));
        }
        let shape = [x.len() / cols, cols];
        let x = upload(x, shape, &self.device)?;
        read(matmul_quant(x, &self.weight)).await
    }
}
