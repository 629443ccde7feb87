//! Shaders that are compiled ahead.

use burn::tensor::Tensor;
use serde_json::json;
use vmad_kernels::{Rehearsal, cpu_device, gpu_device};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::browser::{COINS, Server, has_gpu, map, words};

const VALUES: [f32; 3] = [1.5, -2.25, 3.0];

async fn values(y: Tensor<1>) -> Vec<f32> {
    let data = y.into_data_async().await.unwrap();
    data.try_to_vec().unwrap()
}

/// The launches are such that nothing else in these tests makes them, so that they are compiled here.
#[wasm_bindgen_test]
async fn launches_of_a_rehearsal_are_compiled_and_compute_later() {
    if !has_gpu().await {
        return;
    }
    let (device, _) = gpu_device().await.unwrap();
    let x = Tensor::from_data(VALUES, &device);
    // What was launched before is computed, though nobody has read it yet.
    let before = x.clone() + 1.0;
    let rehearsal = Rehearsal::begin(&device).await.unwrap().unwrap();
    let _ = x.clone().floor();
    assert!(rehearsal.compiled().await.unwrap() > 0);
    assert_eq!(values(x.clone().floor()).await, [1.0, -3.0, 3.0]);
    // Given up: nobody waits for the compiler.
    let given_up = Rehearsal::begin(&device).await.unwrap().unwrap();
    let _ = x.clone().ceil();
    drop(given_up);
    assert_eq!(values(x.ceil()).await, [2.0, -2.0, 3.0]);
    assert_eq!(values(before).await, [2.5, -1.25, 4.0]);
    assert!(Rehearsal::begin(&cpu_device()).await.unwrap().is_none());
}

#[wasm_bindgen_test]
async fn a_warm_session_says_what_a_cold_one_says() {
    if !has_gpu().await {
        return;
    }
    let server = Server::new("warm", []);
    let query = json!({ "object": "coin", "generation": { "maxNewTokens": 12 } });
    let [warm, cold] = [
        server.open("gpu").await.unwrap(),
        server.open("gpu").await.unwrap(),
    ];
    assert!(warm.inner.warm_up().await.unwrap());
    let cold = cold.inspect(COINS, query.clone()).await.unwrap();
    let warm = warm.inspect(COINS, query).await.unwrap();
    assert_eq!(words(&warm), words(&cold));
    assert_eq!(map(&warm), map(&cold));
}
