//! `vmad synth`, `vmad eval` and `vmad calibrate`.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use vmad_data::read_dataset;

use crate::common::{contents, copy_folder, nano, photo, vmad};

/// Small scenes in a folder of their own.
pub fn scenes(seed: &str, count: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("scenes");
    synth(&out, seed, count).succeeds();
    (folder, out)
}

fn synth(out: &Path, seed: &str, count: &str) -> crate::common::Output {
    vmad(&[
        "synth",
        out.to_str().unwrap(),
        "--seed",
        seed,
        "--count",
        count,
        "--split",
        "unseen",
        "--size",
        "64",
    ])
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (_keep_a, a) = scenes("3", "5");
    let (_keep_b, b) = scenes("3", "5");
    let (_keep_c, c) = scenes("4", "5");
    let (a, b, c) = (contents(&a), contents(&b), contents(&c));
    assert_eq!(a.len(), 9);
    assert!(a == b, "seed 3 twice");
    assert!(a != c, "seeds 3 and 4");
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let (_keep, out) = scenes("3", "4");
    synth(&out, "3", "2").fails_with("not empty");
    let notes = out.join("images/notes.png");
    std::fs::write(&notes, "mine").unwrap();
    let forced = [
        "synth",
        out.to_str().unwrap(),
        "--count",
        "2",
        "--size",
        "64",
        "--force",
    ];
    vmad(&forced).succeeds();
    assert!(notes.exists());
    // Two scenes, four JSON files, and the stranger.
    assert_eq!(contents(&out).len(), 7);
}

#[test]
fn eval_prints_every_metric() {
    let (_keep, out) = scenes("5", "6");
    let package = nano();
    let arguments = [
        "eval",
        package.to_str().unwrap(),
        out.to_str().unwrap(),
        "--device",
        "cpu",
        "--max-new-tokens",
        "4",
    ];
    let text = vmad(&[&arguments[..], &["--json"]].concat()).succeeds();
    let report: Value = serde_json::from_str(&text).unwrap();
    let categories = report["categories"].as_object().unwrap();
    assert!(!categories.is_empty());
    for scores in categories.values().chain([&report]) {
        for key in [
            "image_auroc",
            "image_ap",
            "pixel_auroc",
            "pro",
            "defect_type_accuracy",
            "normal_called_normal",
        ] {
            let value = scores.get(key).unwrap();
            let is_share = value.as_f64().is_some_and(|v| (0.0..=1.0).contains(&v));
            assert!(is_share || value.is_null(), "{key}: {value}");
        }
    }
    assert_eq!(report["n_images"], 6);
    let table = vmad(&[&arguments[..], &["--limit", "3"]].concat()).succeeds();
    assert!(
        table.starts_with("| category |") && table.contains("**mean**"),
        "{table}"
    );

    std::fs::remove_file(out.join("images/000004.png")).unwrap();
    vmad(&arguments).fails_with("000004.png");
    std::fs::remove_file(out.join("annotations.json")).unwrap();
    vmad(&arguments).fails_with("annotations.json");
}

#[test]
fn calibration_changes_the_thresholds_only() {
    let (keep, out) = scenes("6", "8");
    let package = keep.path().join("nano");
    copy_folder(&nano(), &package);
    let before = contents(&package);
    let (path, data) = (package.to_str().unwrap(), out.to_str().unwrap());
    vmad(&["calibrate", path, data, "--device", "cpu"]).succeeds();
    let after = contents(&package);
    let changed: Vec<_> = before
        .keys()
        .filter(|name| before[*name] != after[*name])
        .collect();
    assert_eq!(changed, [Path::new("model.json")]);
    let manifest: Value = serde_json::from_slice(&after[Path::new("model.json")]).unwrap();
    let source = manifest["threshold"]["source"].as_str().unwrap();
    assert!(source.contains("8 photographs of scenes"), "{source}");
    vmad(&["package", "verify", path]).succeeds();
}

#[test]
fn photographs_and_the_studio_are_written_as_any_world() {
    let keep = tempfile::tempdir().unwrap();
    let photos = photo("");
    for (name, world) in [
        ("photos", ["--photos", &photos]),
        ("studio", ["--world", "studio"]),
    ] {
        let out = keep.path().join(name);
        let arguments = [
            "synth",
            out.to_str().unwrap(),
            "--count",
            "6",
            "--size",
            "64",
        ];
        vmad(&[&arguments[..], &world].concat()).succeeds();
        let set = read_dataset(&out, None).unwrap();
        assert_eq!(set.records.len(), 6);
        assert!(
            set.records
                .iter()
                .all(|r| !r.object.is_empty() && r.qa.len() == 3)
        );
    }
    let refused = ["synth", "out", "--photos", &photos, "--world", "studio"];
    assert_eq!(vmad(&refused).status, 2);

    let bad = keep.path().join("bad");
    std::fs::create_dir(&bad).unwrap();
    let out = keep.path().join("out");
    let arguments = [
        "synth",
        out.to_str().unwrap(),
        "--photos",
        bad.to_str().unwrap(),
    ];
    vmad(&arguments).fails_with("photos.json");
    assert!(!out.exists());
}
