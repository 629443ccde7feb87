//! What the tests of several operations share.

use burn::tensor::Device;

/// Runs a check on the graphics adapter. Without one it is skipped, unless `VMAD_REQUIRE_GPU` is 1.
pub fn on_gpu(check: impl Fn(&Device)) {
    match pollster::block_on(vmad_kernels::gpu_device()) {
        Ok((device, _)) => check(&device),
        Err(error) if std::env::var_os("VMAD_REQUIRE_GPU").is_some_and(|v| v == "1") => {
            panic!("VMAD_REQUIRE_GPU is set, but: {error}")
        }
        Err(error) => println!("skipped: no adapter ({error})"),
    }
}
