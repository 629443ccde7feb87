//! Data sets of other layouts under `vmad eval` and `vmad calibrate`.

use std::fs;
use std::path::Path;

use image::{GrayImage, Luma, Rgb, RgbImage};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Output, copy_folder, nano, vmad};

/// Two categories in MVTec's layout, each with one good photograph for training and two for test,
/// and one bad photograph.
fn mvtec() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for category in ["cable", "metal_nut"] {
        for name in ["train/good/0", "test/good/0", "test/good/1", "test/bent/0"] {
            let path = dir.path().join(category).join(name).with_extension("png");
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let photo = RgbImage::from_fn(40, 33, |x, y| Rgb([x as u8 * 5, y as u8 * 7, 90]));
            photo.save(path).unwrap();
        }
        let masks = dir.path().join(category).join("ground_truth/bent");
        fs::create_dir_all(&masks).unwrap();
        let on = |x, y| if x < 9 && y < 8 { 255 } else { 0 };
        let mask = GrayImage::from_fn(40, 33, |x, y| Luma([on(x, y)]));
        mask.save(masks.join("0_mask.png")).unwrap();
    }
    dir
}

fn eval(data: &Path, more: &[&str]) -> Output {
    let package = nano();
    let arguments = [
        "eval",
        package.to_str().unwrap(),
        data.to_str().unwrap(),
        "--json",
        "--device",
        "cpu",
        "--max-new-tokens",
        "1",
    ];
    vmad(&[&arguments[..], more].concat())
}

fn n_images(output: Output) -> u64 {
    let report: Value = serde_json::from_str(&output.succeeds()).unwrap();
    report["n_images"].as_u64().unwrap()
}

#[test]
fn eval_chooses_photographs() {
    let dir = mvtec();
    let split = dir.path().join("split.toml");
    fs::write(&split, "train = [\"cable\"]\ntest = [\"metal_nut\"]").unwrap();
    let split = split.to_str().unwrap();
    // What the layout has for training is not looked at unless asked for.
    let all = eval(dir.path(), &[]);
    assert!(all.error.contains("Using 6 of 8"), "{}", all.error);
    assert!(all.error.contains("(mvtec)"), "{}", all.error);
    assert_eq!(n_images(all), 6);
    for (more, expected) in [
        (&["--part", "train"][..], 2),
        (&["--part", "test", "--limit", "1"], 1),
        (&["--split", split, "--part", "train"], 4),
        (&["--split", split, "--part", "test", "--layout", "wfdd"], 3),
    ] {
        assert_eq!(n_images(eval(dir.path(), more)), expected, "{more:?}");
    }
    eval(dir.path(), &["--split", split, "--part", "val"]).fails_with("none of 8 photographs");
    fs::write(split, "test = [\"metal_nuts\"]").unwrap();
    eval(dir.path(), &["--split", split, "--part", "test"]).fails_with("\"metal_nut\"");
    for wrong in [
        &["--layout", "mvtek"][..],
        &["--split", split],
        &["--part", "tset"],
        &["--on-bad-image", "ask"],
    ] {
        assert_eq!(eval(dir.path(), wrong).status, 2, "{wrong:?}");
    }
}

#[test]
fn bad_files_end_the_command_or_are_left_out() {
    let dir = mvtec();
    fs::write(dir.path().join("cable/test/good/1.png"), "damaged").unwrap();
    let mask = dir.path().join("cable/ground_truth/bent/0_mask.png");
    GrayImage::new(33, 40).save(mask).unwrap();
    eval(dir.path(), &[]).fails_with("0_mask.png: the mask has 33×40 pixels");
    let skip = ["--on-bad-image", "skip"];
    let output = eval(dir.path(), &skip);
    for part in ["left out: 2", "0_mask.png", "1.png"] {
        assert!(output.error.contains(part), "{part:?}: {}", output.error);
    }
    assert_eq!(n_images(output), 4);

    let keep = tempfile::tempdir().unwrap();
    let package = keep.path().join("nano");
    copy_folder(&nano(), &package);
    let calibrate = |more: &[&str]| {
        let data = dir.path().to_str().unwrap();
        let arguments = [
            "calibrate",
            package.to_str().unwrap(),
            data,
            "--device",
            "cpu",
        ];
        vmad(&[&arguments[..], more].concat())
    };
    calibrate(&[]).fails_with("0_mask.png");
    let output = calibrate(&skip);
    for part in ["left out: ", "0_mask.png", "1.png"] {
        assert!(output.error.contains(part), "{part:?}: {}", output.error);
    }
    let text = output.succeeds();
    assert!(text.contains("2 left out"), "{text}");

    fs::write(dir.path().join("cable/train/good/0.png"), "").unwrap();
    fs::write(dir.path().join("metal_nut/train/good/0.png"), "").unwrap();
    let none = ["--part", "train", "--on-bad-image", "skip"];
    eval(dir.path(), &none).fails_with("none of 2 photographs could be read");
}
