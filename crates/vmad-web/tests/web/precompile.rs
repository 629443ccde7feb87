//! Pipelines that are compiled ahead of need.

use burn::tensor::Tensor;
use serde_json::json;
use vmad_kernels::{PipelinePrecompile, Readback, cpu_device, gpu_device, self_test};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::browser::{COINS, Server, has_gpu, map, words};

const VALUES: [f32; 3] = [1.5, -2.25, 3.0];

async fn values(y: Tensor<1>) -> Vec<f32> {
    let data = y.into_data_async().await.unwrap();
    data.try_to_vec().unwrap()
}

/// No other test makes these launches, so that their pipelines are compiled here.
#[wasm_bindgen_test]
async fn launches_of_a_pass_are_compiled_and_compute_later() {
    if !has_gpu().await {
        return;
    }
    let (device, _) = gpu_device().await.unwrap();
    let x = Tensor::from_data(VALUES, &device);
    // Launched before the pass and not read yet: it is computed.
    let before = x.clone() + 1.0;
    let pass = PipelinePrecompile::new(&device).unwrap();
    let _ = pass.launches(async { x.clone().floor() }).await;
    assert!(pass.compiled().await.unwrap() > 0);
    assert_eq!(values(x.clone().floor()).await, [1.0, -3.0, 3.0]);
    // A pass that is given up: nobody waits for its pipelines.
    let given_up = PipelinePrecompile::new(&device).unwrap();
    let _ = given_up.launches(async { x.clone().ceil() }).await;
    drop(given_up);
    assert_eq!(values(x.ceil()).await, [2.0, -2.0, 3.0]);
    assert_eq!(values(before).await, [2.5, -1.25, 4.0]);
    assert!(PipelinePrecompile::new(&cpu_device()).is_none());
}

/// Reads inside a pass return zeros. Other tasks compute and read as always, even between two polls of the pass. A self-test
/// inside a pass fails; afterwards it succeeds.
#[wasm_bindgen_test]
async fn a_pass_affects_nothing_outside_of_it() {
    if !has_gpu().await {
        return;
    }
    let (device, _) = gpu_device().await.unwrap();
    let x = Tensor::from_data(VALUES, &device);
    let pass = PipelinePrecompile::new(&device).unwrap();
    let inside = pass.launches(async {
        let made = x.clone() * 2.0;
        let read = Readback::new(made.into_data_async()).await.unwrap();
        assert_eq!(read.try_to_vec::<f32>().unwrap(), [0.0; 3]);
        // The values of a tensor that was made before are not read, either.
        assert_eq!(values(x.clone()).await, [0.0; 3]);
    });
    let outside = async {
        for _ in 0..4 {
            assert_eq!(values(x.clone() * 2.0).await, [3.0, -4.5, 6.0]);
        }
        self_test(&device).await.unwrap();
    };
    futures::join!(inside, outside);
    assert_eq!(values(x.clone() * 2.0).await, [3.0, -4.5, 6.0]);
    assert!(pass.launches(self_test(&device)).await.is_err());
    pass.compiled().await.unwrap();
    self_test(&device).await.unwrap();
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
