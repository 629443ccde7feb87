//! The projectors of the paper's ablation, and LTC with parts left out, against values computed by
//! PyTorch (`tests/reference/ablation.py`).
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use burn::tensor::{Device, Tensor};
use common::{Fixture, on_every_device};
use vmad_model::config::ProjectorConfig;
use vmad_model::projector::Projector;
use vmad_model::{Builder, Init, LoadedWeight, ModelError, WeightSource};

fn levels(fixture: &Fixture, device: &Device) -> Vec<Tensor<3>> {
    let all: Tensor<4> = fixture.tensor("in.levels", device);
    let [n_levels, batch, n, d] = all.dims();
    (0..n_levels)
        .map(|l| all.clone().narrow(0, l, 1).reshape([batch, n, d]))
        .collect()
}

fn check(name: &str) {
    let fixture = Fixture::read(name);
    let config: ProjectorConfig = fixture.config("projector");
    on_every_device(|device| {
        let (mut weights, mut names) = (fixture.weights(device), Vec::new());
        let projector = Projector::new(&mut Builder::new(&mut weights, &mut names), &config);
        let tokens = projector.unwrap().forward(&levels(&fixture, device));
        let [_, n_visual, _] = tokens.dims();
        assert_eq!(n_visual, config.n_visual(), "{name}");
        fixture.check("out.tokens", tokens);
    });
}

#[test]
fn projectors_of_table_iv() {
    // The second of each pair has a grid that its side does not divide.
    for name in [
        "avg_pool",
        "avg_pool_uneven",
        "resampler",
        "resampler_uneven",
        "ldpv2",
        "ldpv2_uneven",
    ] {
        check(name);
    }
}

#[test]
fn ltc_with_parts_left_out() {
    for name in [
        "ltc_pooled",
        "ltc_injection",
        "ltc_multi_level",
        "ltc_subset",
        "ltc_no_learner",
        "ltc_no_blocks",
    ] {
        check(name);
    }
}

/// Hands out a fixture's weights under another module's names.
struct Renamed<'a> {
    inner: common::Weights<'a>,
}

impl WeightSource for Renamed<'_> {
    fn take(
        &mut self,
        name: &str,
        shape: &[usize],
        init: Init,
    ) -> Result<LoadedWeight, ModelError> {
        let name = name.replacen("projector.", "ltc.out.", 1);
        self.inner.take(&name, shape, init)
    }
}

/// LTC without learner, residual blocks and injection is average pooling.
#[test]
fn ltc_of_nothing_is_average_pooling() {
    let fixture = Fixture::read("ltc_pooled");
    let ProjectorConfig::Ltc(ltc) = fixture.config("projector") else {
        panic!("the fixture is not LTC's");
    };
    assert_eq!(ltc.d_hidden, ltc.d_text, "both have one MLP");
    let config = serde_json::json!({
        "kind": "avg_pool",
        "grid": ltc.grid,
        "side": ltc.grid / ltc.stride,
        "d_vision": ltc.d_vision,
        "d_text": ltc.d_text,
    });
    let config: ProjectorConfig = serde_json::from_value(config).unwrap();
    let device = vmad_kernels::cpu_device();
    let inner = fixture.weights(&device);
    let (mut weights, mut names) = (Renamed { inner }, Vec::new());
    let pool = Projector::new(&mut Builder::new(&mut weights, &mut names), &config).unwrap();
    fixture.check("out.tokens", pool.forward(&levels(&fixture, &device)));
}
