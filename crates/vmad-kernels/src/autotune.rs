//! Which of an adapter's optional features launches use: the fastest that pass the self-test.

use std::sync::OnceLock;

use burn::tensor::{Device, Tensor};
use half::f16;
use web_time::{Duration, Instant};

use crate::device::AdapterInfo;
use crate::error::KernelError;
use crate::features::Features;
use crate::ops::matmul_quant;
use crate::precompile::PipelinePrecompile;
use crate::self_test::{launch_every_operation, self_test};
use crate::weight::QuantWeight;

/// Tokens, rows and columns, and number of the products that are timed: 8 ms at 1 TFLOP/s, longer than the cost of a launch
/// and the resolution of a browser's clock.
const SIDE: usize = 1024;
const TOKENS: usize = 512;
const PRODUCTS: usize = 8;

/// Timed runs of each variant, after one that compiles; the shortest counts.
const RUNS: usize = 3;

/// A variant that rounds must take at most this fraction of the time.
const MAX_TIME_RATIO: f64 = 0.9;

/// Selects among the optional features of an adapter, tests every operation with them, and enables them. Subgroups are
/// enabled where results are correct with them. Packed integers and half precision are enabled for products of many tokens
/// where results are correct and faster, which has to be measured: WebGPU does not say whether the hardware has the
/// instructions or the driver emulates them. On an emulated GPU, which is slower with either, nothing is measured.
///
/// The selection is made once per process; a later call enables it again without measuring or testing, so that no session
/// runs while features are being switched.
///
/// # Errors
/// The self-test's, when results are wrong even without any of them.
pub async fn select_features(
    device: &Device,
    adapter: &AdapterInfo,
) -> Result<Features, KernelError> {
    static SELECTED: OnceLock<Features> = OnceLock::new();

    if let Some(features) = SELECTED.get() {
        features.enable();
        return Ok(*features);
    }
    let offered = adapter.features;
    let mut candidates = vec![offered.exact(), Features::NONE];
    if !adapter.software {
        candidates.insert(0, autotune(device, offered).await);
    }
    candidates.dedup();
    let mut outcome = Ok(Features::NONE);
    for features in candidates {
        features.enable();
        outcome = precompiled_test(device).await.map(|()| features);
        if outcome.is_ok() {
            break;
        }
    }
    outcome.map(|features| *SELECTED.get_or_init(|| features))
}

/// The self-test, after its pipelines were compiled in parallel.
async fn precompiled_test(device: &Device) -> Result<(), KernelError> {
    if let Some(precompile) = PipelinePrecompile::new(device) {
        precompile.launches(launch_every_operation(device)).await?;
        precompile.compiled().await?;
    }
    self_test(device).await
}

/// The fastest features of those that the adapter offers.
async fn autotune(device: &Device, offered: Features) -> Features {
    let exact = offered.exact();
    let mut best = exact;
    let Some(mut least) = timed(device, exact).await else {
        return exact;
    };
    least = least.mul_f64(MAX_TIME_RATIO);
    let rounding = [
        Features {
            f16: offered.f16,
            ..exact
        },
        Features {
            packed: offered.packed,
            ..exact
        },
    ];
    for features in rounding.into_iter().filter(|features| *features != exact) {
        // A variant that fails here is not selected; the self-test reports errors that matter.
        if let Some(time) = timed(device, features).await
            && time < least
        {
            (best, least) = (features, time);
        }
    }
    best
}

/// The shortest time of a chain of products; `None` where their result cannot be read.
async fn timed(device: &Device, features: Features) -> Option<Duration> {
    features.enable();
    let scales = vec![f16::ZERO; SIDE * SIDE / 32];
    let weight = QuantWeight::from_q8(SIDE, SIDE, &vec![0; SIDE * SIDE], &scales, device).ok()?;
    let mut least = None;
    for run in 0..=RUNS {
        let begin = Instant::now();
        let mut x = Tensor::<2>::zeros([TOKENS, SIDE], device);
        for _ in 0..PRODUCTS {
            x = matmul_quant(x, &weight);
        }
        x.slice([0..1, 0..1]).into_data_async().await.ok()?;
        let time = begin.elapsed();
        // The first compiles.
        if run > 0 {
            least = Some(least.map_or(time, |least: Duration| least.min(time)));
        }
    }
    least
}
