//! The shaders' variants, on what the browser's adapter has.

use vmad_kernels::{Features, gpu_device, self_test, settle};
use wasm_bindgen_test::{console_log, wasm_bindgen_test};

use crate::browser::has_gpu;

#[wasm_bindgen_test]
async fn every_variant_computes_what_the_cpu_computes() {
    if !has_gpu().await {
        return;
    }
    let (device, adapter) = gpu_device().await.unwrap();
    let offered = adapter.features;
    console_log!("the adapter has: {offered}");
    assert!(offered.packed, "Chromium has this on every adapter");
    let exact = offered.exact();
    let packed = Features {
        packed: true,
        ..exact
    };
    let f16 = Features {
        f16: offered.f16,
        ..exact
    };
    for features in [packed, f16, exact, Features::NONE] {
        features.use_them();
        let outcome = self_test(&device).await;
        assert!(outcome.is_ok(), "with {features}: {outcome:?}");
    }
    // An emulated adapter is spared the trial, so that what rounds stays off.
    let settled = settle(&device, &adapter).await.unwrap();
    assert_eq!(Features::used(), settled);
    assert_eq!(settled.exact(), exact);
    if adapter.software {
        assert_eq!(settled, exact);
    }
}
