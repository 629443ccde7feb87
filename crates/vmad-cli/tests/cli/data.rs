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

/// Copies photographs of the repository into a folder of good parts.
fn good_parts(folder: &Path, names: &[&str]) -> PathBuf {
    let good = folder.join("good");
    std::fs::create_dir_all(&good).unwrap();
    for name in names {
        std::fs::copy(photo(name), good.join(name)).unwrap();
    }
    std::fs::write(good.join("notes.txt"), "no photograph by its name").unwrap();
    good
}

#[test]
fn thresholds_from_good_parts_are_written_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let good = good_parts(folder.path(), &["coins.png", "brick.png", "gravel.webp"]);
    std::fs::write(good.join("broken.png"), "no photograph").unwrap();
    let file = folder.path().join("thresholds.json");
    let (nano, coins) = (nano(), photo("coins.png"));
    let (package, file) = (nano.to_str().unwrap(), file.to_str().unwrap());
    let before = contents(&nano);
    let calibrate = |object: &[&str], quantile: &str| {
        let arguments = ["calibrate", package, "--normal", good.to_str().unwrap()];
        let more = ["--quantile", quantile, "--write", file, "--device", "cpu"];
        vmad(&[&arguments[..], &more, object].concat())
    };
    let output = calibrate(&["--object", "Old coin"], "0.75");
    assert!(output.error.contains("broken.png"), "{}", output.error);
    assert!(!output.error.contains("warning"), "{}", output.error);
    let text = output.succeeds();
    assert!(text.starts_with("Old coin: image "), "{text}");
    assert!(text.contains("3 good, 0 defective, 1 left out"), "{text}");
    // Another object goes into the same file; three photographs promise no more than 3 in 4.
    let output = calibrate(&[], "0.9");
    assert!(output.error.contains("which needs 9"), "{}", output.error);
    output.succeeds();
    assert!(before == contents(&nano), "the package has changed");

    let found: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(found["format"], "vmad-thresholds");
    assert_eq!(found["model"], "nano");
    let objects = found["objects"].as_object().unwrap();
    assert_eq!(objects.keys().collect::<Vec<_>>(), ["", "old coin"]);
    for (object, key) in [(&["--object", "old  COIN"][..], "old coin"), (&[], "")] {
        let arguments = ["inspect", package, &coins, "--thresholds", file, "--json"];
        let text = vmad(&[&arguments[..], &["--device", "cpu"], object].concat()).succeeds();
        let result: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(result["threshold"], objects[key]["image"], "{key:?}");
        assert_eq!(result["map_threshold"], objects[key]["pixel"], "{key:?}");
        // All three were needed, so that none of them is called anomalous or marked.
        assert_eq!(result["anomalous"], false, "{key:?}");
        assert!(result["regions"].as_array().unwrap().is_empty(), "{key:?}");
    }
    let arguments = ["inspect", package, &coins, "--thresholds", file];
    vmad(&[&arguments[..], &["--object", "nut"]].concat()).fails_with("old coin");
}

#[test]
fn each_category_gets_thresholds_of_its_own() {
    let (keep, out) = scenes("8", "24");
    let file = keep.path().join("thresholds.json");
    let nano = nano();
    let (package, data) = (nano.to_str().unwrap(), out.to_str().unwrap());
    let output = vmad(&[
        "calibrate",
        package,
        data,
        "--per-category",
        "--write",
        file.to_str().unwrap(),
        "--device",
        "cpu",
    ]);
    let left_out = output.error.clone();
    let text = output.succeeds();
    let sidecar: Value =
        serde_json::from_slice(&std::fs::read(out.join("sidecar.json")).unwrap()).unwrap();
    let found: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let objects = found["objects"].as_object().unwrap();
    assert!(!objects.is_empty());
    for entry in sidecar.as_array().unwrap() {
        let category = entry["category"].as_str().unwrap();
        let object = entry["object"].as_str().unwrap().to_lowercase();
        // Three scenes of a category may all be defective.
        let has_good = text.contains(category);
        assert!(
            has_good != left_out.contains(category),
            "{category}: {text}"
        );
        assert_eq!(objects.contains_key(&object), has_good, "{object}");
    }
}

#[test]
fn calibration_refuses_what_it_cannot_use() {
    let (keep, out) = scenes("6", "4");
    let copy = keep.path().join("nano");
    copy_folder(&nano(), &copy);
    let (package, data) = (copy.to_str().unwrap(), out.to_str().unwrap());
    for arguments in [
        &[][..],
        &[data, "--normal", data],
        &[data, "--per-category"],
        &[data, "--object", "bolt"],
        &[data, "--write", "t.json"],
        &["--normal", data, "--quantile", "1"],
    ] {
        let output = vmad(&[&["calibrate", package][..], arguments].concat());
        assert_eq!(output.status, 2, "{arguments:?}: {}", output.error);
    }
    // What was refused has changed nothing.
    assert!(contents(&nano()) == contents(&copy));
    let empty = keep.path().to_str().unwrap();
    vmad(&["calibrate", package, "--normal", empty]).fails_with("no photographs");
    let file = keep.path().join("other.json");
    std::fs::write(&file, "{}").unwrap();
    let images = out.join("images");
    vmad(&[
        "calibrate",
        package,
        "--normal",
        images.to_str().unwrap(),
        "--write",
        file.to_str().unwrap(),
    ])
    .fails_with("other.json");
}
