//! Products of packed weights and parts of a model for a page that times them beside another runtime's
//! (`npm run bench -- --only products`, `--only models`). Visitors do not fetch this.

mod decoder;
mod model;
mod product;

use burn::tensor::{Device, Tensor, TensorData};
pub use decoder::Decoder;
pub use model::{Model, Package};
pub use product::Product;
use vmad_kernels::Features;
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

/// Initialises the instance; runs when it is created.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
    #[cfg(target_family = "wasm")]
    vmad_kernels::run_constructors();
}

/// Restricts launches to these optional features of the GPU, where it has them. To be called after a model or a product was
/// loaded there. Returns the enabled features.
///
/// # Errors
/// There is no GPU.
#[wasm_bindgen]
pub async fn use_features(subgroups: bool, packed: bool, f16: bool) -> Result<String, JsError> {
    let (_, adapter) = vmad_kernels::gpu_device().await?;
    let features = Features {
        subgroups: subgroups && adapter.features.subgroups,
        packed: packed && adapter.features.packed,
        f16: f16 && adapter.features.f16,
    };
    features.enable();
    Ok(features.to_string())
}

/// A tensor of the page's values.
fn upload<const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Result<Tensor<D>, JsError> {
    let (given, wanted) = (values.len(), shape.iter().product::<usize>());
    if given == wanted {
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    } else {
        let message = format!("{given} values where {shape:?} takes {wanted}");
        Err(JsError::new(&message))
    }
}

/// A tensor's values, row after row.
async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, JsError> {
    let data = tensor.into_data_async().await;
    let data = data.map_err(|error| JsError::new(&format!("{error:?}")))?;
    let values = data.try_to_vec::<f32>();
    values.map_err(|error| JsError::new(&format!("{error:?}")))
}
