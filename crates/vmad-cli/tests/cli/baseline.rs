//! `vmad baseline`.

use std::path::Path;

use serde_json::Value;

use crate::common::{Output, nano, vmad};

fn synth(out: &Path, seed: &str, count: &str) {
    let out = out.to_str().unwrap();
    let settings = ["--split", "unseen", "--size", "64", "--difficulty", "0"];
    let arguments = ["synth", out, "--seed", seed, "--count", count];
    vmad(&[&arguments[..], &settings].concat()).succeeds();
}

fn baseline(data: &Path, method: &str, extra: &[&str]) -> Output {
    let package = nano();
    let arguments = [
        "baseline",
        package.to_str().unwrap(),
        data.to_str().unwrap(),
        "--method",
        method,
        "--device",
        "cpu",
    ];
    vmad(&[&arguments[..], extra].concat())
}

#[test]
fn every_detector_prints_the_report_of_eval() {
    let folder = tempfile::tempdir().unwrap();
    let (data, normal) = (folder.path().join("data"), folder.path().join("normal"));
    synth(&data, "5", "4");
    synth(&normal, "6", "160");
    let normal = normal.to_str().unwrap();
    for (method, extra) in [
        ("padim", &["--normal", normal, "--shots", "3"][..]),
        (
            "padim",
            &["--normal", normal, "--shots", "2", "--ridge", "0.01"],
        ),
        (
            "patchcore",
            &["--normal", normal, "--shots", "2", "--features", "sam"],
        ),
        (
            "patchcore",
            &["--normal", normal, "--shots", "2", "--reweight"],
        ),
        ("contrast", &[]),
        ("zscore", &[]),
        ("prior", &[]),
    ] {
        let text = baseline(&data, method, &[extra, &["--json"]].concat()).succeeds();
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["n_images"], 4, "{method}");
        // It says nothing about a photograph, neither right nor wrong.
        assert!(report["normal_called_normal"].is_null(), "{method}");
        let pixel = report["pixel_auroc"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&pixel), "{method}: {pixel}");
    }
    let table = baseline(&data, "contrast", &["--limit", "2"]).succeeds();
    assert!(table.starts_with("| category |"), "{table}");
}

#[test]
fn what_is_normal_must_be_known_and_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (data, few) = (folder.path().join("data"), folder.path().join("few"));
    synth(&data, "5", "4");
    synth(&few, "6", "1");
    let few = few.to_str().unwrap();
    baseline(&data, "padim", &["--normal", data.to_str().unwrap()]).fails_with("other photographs");
    baseline(&data, "padim", &["--normal", few]).fails_with("fitting the detector of category");
    baseline(&data, "patchcore", &["--normal", few, "--coreset", "2"]).fails_with("coreset share");
    baseline(&data, "prior", &["--normal", few]).fails_as_usage("--normal");
}
