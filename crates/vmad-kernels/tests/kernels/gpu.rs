//! Checks on a graphics adapter.

use burn::tensor::Device;
use vmad_kernels::Features;

/// Runs a check on the graphics adapter, with its optional features and without. Without one it is skipped, unless `VMAD_REQUIRE_GPU` is 1.
pub fn on_gpu(check: impl Fn(&Device)) {
    match pollster::block_on(vmad_kernels::gpu_device()) {
        Ok((device, info)) => {
            // Tests of one process share the enabled features.
            static SWITCH: std::sync::Mutex<()> = std::sync::Mutex::new(());
            let guard = SWITCH.lock();
            for features in variants(info.features) {
                println!("with {features}");
                features.enable();
                check(&device);
            }
            drop(guard);
        }
        Err(error) if std::env::var_os("VMAD_REQUIRE_GPU").is_some_and(|v| v == "1") => {
            panic!("VMAD_REQUIRE_GPU is set, but: {error}")
        }
        Err(error) => println!("skipped: no adapter ({error})"),
    }
}

/// Every set of features for which shaders have variants, of those that an adapter has.
fn variants(offered: Features) -> Vec<Features> {
    let exact = offered.exact();
    let mut variants = vec![
        Features {
            packed: offered.packed,
            ..exact
        },
        Features {
            f16: offered.f16,
            ..exact
        },
        exact,
        Features::NONE,
    ];
    variants.dedup();
    variants
}
