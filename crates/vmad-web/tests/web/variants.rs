//! The shaders' variants, on what the browser's adapter has.

use vmad_kernels::{Features, gpu_device, select_features, self_test};
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
        features.enable();
        let outcome = self_test(&device).await;
        assert!(outcome.is_ok(), "with {features}: {outcome:?}");
    }
    // On an emulated adapter nothing is measured, so that the features that round stay off.
    let selected = select_features(&device, &adapter).await.unwrap();
    assert_eq!(Features::enabled(), selected);
    assert_eq!(selected.exact(), exact);
    if adapter.software {
        assert_eq!(selected, exact);
    }
}
