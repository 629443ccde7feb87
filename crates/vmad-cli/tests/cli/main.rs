//! The `vmad` program, run as a person would run it, on a model with random weights.
#![expect(clippy::unwrap_used, reason = "tests")]

mod baseline;
mod common;
mod criteria;
mod data;
mod eval;
mod inspect;
mod layouts;
mod quality;
mod reproduce;
mod train;

use common::{Output, nano, vmad};

#[test]
fn every_command_explains_itself() {
    for command in [
        "inspect",
        "chat",
        "synth",
        "train",
        "calibrate",
        "eval",
        "baseline",
        "reproduce",
        "package",
        "bench",
        "nano",
    ] {
        let help = vmad(&[command, "--help"]).succeeds();
        assert!(help.contains("Example"), "{command}: {help}");
        assert!(
            help.contains(&format!("vmad {command}")),
            "{command}: {help}"
        );
    }
}

#[test]
fn bad_usage_has_status_2() {
    let package = nano();
    let package = package.to_str().unwrap();
    for arguments in [
        &[] as &[&str],
        &["paint"],
        &["inspect"],
        &["inspect", package],
        &["inspect", package, "a.png", "--device", "abacus"],
        &["inspect", package, "a.png", "--threshold", "NaN"],
        &["inspect", package, "a.png", "--ask", "  "],
        &["inspect", package, "a.png", "--max-new-tokens", "0"],
        &[
            "inspect",
            package,
            "a.png",
            "b.png",
            "--trace",
            "t.safetensors",
        ],
        &["synth", "out", "--split", "test"],
        &["synth", "out", "--difficulty", "2"],
        &["synth", "out", "--size", "9"],
        &["train", "c.toml", "--run", "r"],
        &["baseline", package, "data", "--method", "padim"],
        &["baseline", package, "data", "--method", "magic"],
        &["reproduce", "c.toml"],
        &["reproduce", "c.toml", "--out", "o", "--seeds", "0"],
    ] {
        let Output { status, error, .. } = vmad(arguments);
        assert_eq!(status, 2, "{arguments:?}: {error}");
        assert!(!error.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_package_is_described_and_verified() {
    let package = nano();
    let package = package.to_str().unwrap();
    let info = vmad(&["package", "info", package]).succeeds();
    for word in [
        "nano",
        "MIT OR Apache-2.0",
        "int4",
        "ltc",
        "clip",
        "threshold",
    ] {
        assert!(info.contains(word), "{word} in {info}");
    }
    let verdict = vmad(&["package", "verify", package]).succeeds();
    assert!(verdict.contains("valid"), "{verdict}");
}

#[test]
fn a_damaged_package_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("nano");
    common::copy_folder(&nano(), &copy);
    let shard = common::shards(&copy).pop().unwrap();
    let path = copy.join(&shard);
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let package = copy.to_str().unwrap();
    for arguments in [
        &["package", "verify", package][..],
        &["inspect", package, "any.png", "--device", "cpu"],
    ] {
        vmad(arguments).fails_with(&shard);
    }
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    vmad(&["package", "verify", package]).fails_with(&shard);
    std::fs::remove_file(&path).unwrap();
    vmad(&["package", "verify", package]).fails_with(&shard);
    vmad(&["package", "info", "/nowhere"]).fails_with("model.json");
}

#[test]
fn nano_is_small_and_the_same_every_time() {
    let folder = tempfile::tempdir().unwrap();
    let again = folder.path().join("nano");
    vmad(&["nano", again.to_str().unwrap()]).succeeds();
    let (first, second) = (common::contents(&nano()), common::contents(&again));
    assert!(
        first == second,
        "the bytes differ; was `vmad nano models/nano` forgotten?"
    );
    let bytes: usize = first.values().map(Vec::len).sum();
    assert!(bytes < 1_000_000, "{bytes} bytes");
    assert!(common::shards(&again).len() > 1);

    // Replaced in place: weights of the old package go, other files stay.
    std::fs::write(again.join("README.md"), "card").unwrap();
    std::fs::write(again.join("weights-00009-of-00009.safetensors"), "old").unwrap();
    vmad(&["nano", again.to_str().unwrap()]).succeeds();
    assert!(again.join("README.md").exists());
    assert!(!again.join("weights-00009-of-00009.safetensors").exists());
    vmad(&["nano", folder.path().to_str().unwrap()]).fails_with("not empty");
}
