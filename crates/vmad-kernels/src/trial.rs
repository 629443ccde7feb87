//! Which of an adapter's optional features are used: the fastest of those under which every result is right.

use std::sync::OnceLock;

use burn::tensor::{Device, Tensor};
use half::f16;
use web_time::{Duration, Instant};

use crate::{AdapterInfo, Features, KernelError, QuantWeight, Rehearsal, matmul_quant, self_test};

/// Tokens, rows and columns of the products that are timed, one after the other: 8 ms where a GPU makes 1 TFLOP/s
/// of its results, longer than what a launch costs and than the grain of a browser's clock.
const SIDE: usize = 1024;
const TOKENS: usize = 512;
const PRODUCTS: usize = 8;

/// Times each variant is timed, once more before; the shortest counts.
const RUNS: usize = 3;

/// What a variant that rounds must win: a tenth of the time.
const WORTH: f64 = 0.9;

/// Chooses among the optional features of an adapter and tests every operation with them; what is chosen is used from
/// here on. Subgroups are used where results are right with them. Integers or half precision are used for products
/// of many tokens where results are right and come sooner, which only a trial can say: WebGPU does not tell
/// whether an adapter has the instructions or the driver spells them out. An emulated GPU has no trial, since it is
/// slower with either.
///
/// What was chosen holds for the process, as the adapter does: a later call neither tries nor tests, so that no
/// session finds the shaders of another under trial.
///
/// # Errors
/// The self-test's, when results are wrong even without any of them.
pub async fn settle(device: &Device, adapter: &AdapterInfo) -> Result<Features, KernelError> {
    static SETTLED: OnceLock<Features> = OnceLock::new();

    if let Some(features) = SETTLED.get() {
        features.use_them();
        return Ok(*features);
    }
    let offered = adapter.features;
    let mut candidates = vec![offered.exact(), Features::NONE];
    if !adapter.software {
        candidates.insert(0, fastest(device, offered).await);
    }
    candidates.dedup();
    let mut outcome = Ok(Features::NONE);
    for features in candidates {
        features.use_them();
        outcome = rehearsed_test(device).await.map(|()| features);
        if outcome.is_ok() {
            break;
        }
    }
    outcome.map(|features| *SETTLED.get_or_init(|| features))
}

async fn rehearsed_test(device: &Device) -> Result<(), KernelError> {
    if let Some(rehearsal) = Rehearsal::begin(device).await? {
        self_test(device).await?;
        rehearsal.compiled().await?;
    }
    self_test(device).await
}

async fn fastest(device: &Device, offered: Features) -> Features {
    let exact = offered.exact();
    let mut best = exact;
    let Some(mut least) = timed(device, exact).await else {
        return exact;
    };
    least = least.mul_f64(WORTH);
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
        // What fails here is not chosen; the self-test says why where that matters.
        if let Some(time) = timed(device, features).await
            && time < least
        {
            (best, least) = (features, time);
        }
    }
    best
}

/// The shortest time of a chain of products; none where their result cannot be read.
async fn timed(device: &Device, features: Features) -> Option<Duration> {
    features.use_them();
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
