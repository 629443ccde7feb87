//! Selection of the device.

#![cfg(not(feature = "gpu"))]

use super::*;

#[test]
fn without_gpu_support_the_cpu_is_selected() -> Outcome {
    use crate::{DeviceChoice, select_device};
    assert_eq!(
        block_on(select_device(DeviceChoice::Auto))?.kind,
        crate::DeviceKind::Cpu
    );
    let gpu = block_on(select_device(DeviceChoice::Gpu));
    assert_eq!(gpu.err().map(|error| error.code()), Some("no-gpu"));
    Ok(())
}
