//! `vmad inspect`, `vmad chat` and `vmad bench`.

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::common::{contents, nano, photo, repository, vmad, vmad_reading};

/// `vmad inspect` of the nano package on the CPU, with few words.
fn inspect(arguments: &[&str]) -> crate::common::Output {
    let package = nano();
    let mut all = vec!["inspect", package.to_str().unwrap()];
    all.extend(arguments);
    all.extend(["--device", "cpu", "--max-new-tokens", "6"]);
    vmad(&all)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn json_is_one_object_an_image() {
    let (coins, coffee) = (photo("coins.png"), photo("coffee.jpg"));
    let text = inspect(&[&coins, &coffee, "--ask", "description", "--json"]).succeeds();
    let results = lines(&text);
    assert_eq!(results.len(), 2);
    for (result, (image, width, height)) in results
        .iter()
        .zip([(&coins, 384, 303), (&coffee, 600, 400)])
    {
        assert_eq!(result["image"], image.as_str());
        assert_eq!(result["width"], width);
        assert_eq!(result["height"], height);
        let score = result["score"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&score), "{score}");
        let threshold = result["threshold"].as_f64().unwrap();
        assert_eq!(result["anomalous"], score >= threshold);
        assert!(result["map_threshold"].is_f64());
        assert!(result["regions"].is_array());
        assert!(result["answer"].is_string());
        assert!(result["seg_produced"].is_boolean());
        assert_eq!(result["device"], "CPU");
        assert_eq!(result["timings"][0][0], "decode");
        assert!(result["timings"][0][1].is_f64());
    }
    // Without --json the same is told to people, and twice the same is said.
    let again = inspect(&[&coins, "--ask", "description", "--json"]).succeeds();
    assert_eq!(lines(&again)[0]["score"], results[0]["score"]);
    let people = inspect(&[&coins]).succeeds();
    assert!(
        people.contains("verdict") && people.contains("CPU"),
        "{people}"
    );
}

/// Of scores of the shipped model with shaders and without, which differ in the order of sums.
const SCORE_TOLERANCE: f64 = 1e-5;

/// The whole shipped model: on a graphics adapter every operation that has a shader takes it, on the CPU none.
#[test]
fn the_shipped_model_sees_and_says_the_same_with_shaders() {
    let package = repository().join("models/tiny");
    let photos = [photo("coins.png"), photo("coffee.jpg"), photo("brick.png")];
    let on = |device: &str| {
        let mut arguments = vec!["inspect", package.to_str().unwrap()];
        arguments.extend(photos.iter().map(String::as_str));
        arguments.extend(["--ask", "description", "--json", "--device", device]);
        vmad(&arguments)
    };
    let expected = lines(&on("cpu").succeeds());
    let gpu = on("gpu");
    if gpu.status != 0 && std::env::var_os("VMAD_REQUIRE_GPU").is_none_or(|v| v != "1") {
        println!("skipped: {}", gpu.error);
        return;
    }
    let made = lines(&gpu.succeeds());
    assert_eq!(made.len(), photos.len());
    for (made, expected) in made.iter().zip(&expected) {
        assert_ne!(made["device"], expected["device"]);
        for key in ["anomalous", "answer", "seg_produced"] {
            assert_eq!(made[key], expected[key], "{key}");
        }
        let off = made["score"].as_f64().unwrap() - expected["score"].as_f64().unwrap();
        assert!(off.abs() <= SCORE_TOLERANCE, "scores differ by {off}");
        let boxes = |result: &Value| {
            let regions = result["regions"].as_array().unwrap();
            let of = |region: &Value| ["x", "y", "width", "height"].map(|key| region[key].clone());
            regions.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(boxes(made), boxes(expected));
    }
}

#[test]
fn the_threshold_decides_and_never_the_status() {
    let coins = photo("coins.png");
    for (threshold, anomalous) in [("-1", true), ("2", false)] {
        let text = inspect(&[&coins, "--threshold", threshold, "--json"]).succeeds();
        assert_eq!(lines(&text)[0]["anomalous"], anomalous, "{threshold}");
    }
}

#[test]
fn out_holds_four_files_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("results");
    let coins = photo("coins.png");
    inspect(&[&coins, &coins, "--out", out.to_str().unwrap()]).succeeds();
    let files = contents(&out);
    let names: Vec<_> = files.keys().map(|name| name.to_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "coins-2.heatmap.png",
            "coins-2.json",
            "coins-2.mask.png",
            "coins-2.overlay.png",
            "coins.heatmap.png",
            "coins.json",
            "coins.mask.png",
            "coins.overlay.png",
        ]
    );
    for name in ["coins.heatmap.png", "coins.mask.png", "coins.overlay.png"] {
        let picture = image::open(out.join(name)).unwrap();
        assert_eq!((picture.width(), picture.height()), (384, 303), "{name}");
    }
    let result: Value = serde_json::from_slice(&files[std::path::Path::new("coins.json")]).unwrap();
    assert_eq!(result["width"], 384);
    assert_eq!(result["image"], coins.as_str());
}

#[test]
fn the_trace_has_every_tensor() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.safetensors");
    let coins = photo("coins.png");
    inspect(&[&coins, "--trace", path.to_str().unwrap()]).succeeds();
    let bytes = std::fs::read(&path).unwrap();
    let trace = SafeTensors::deserialize(&bytes).unwrap();
    for (name, rank) in [
        ("clip.pixels", 3),
        ("sam.pixels", 3),
        ("clip.hidden.0", 2),
        ("clip.hidden.4", 2),
        ("projector.out", 2),
        ("llm.logits", 2),
        ("llm.hidden", 2),
        ("seg.hidden", 1),
        ("seg.embedding", 1),
        ("sam.image_embedding", 3),
        ("mask.logits", 2),
        ("map", 2),
    ] {
        let tensor = trace.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), Dtype::F32, "{name}");
        assert_eq!(tensor.shape().len(), rank, "{name}: {:?}", tensor.shape());
    }
    assert_eq!(trace.tensor("llm.input_ids").unwrap().dtype(), Dtype::I32);
    assert_eq!(trace.tensor("map").unwrap().shape(), [303, 384]);
}

#[test]
fn one_bad_image_does_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.png");
    std::fs::write(&bad, "no picture").unwrap();
    let (bad, coins) = (bad.to_str().unwrap(), photo("coins.png"));
    let output = inspect(&["/nowhere/x.png", bad, &coins, "--json"]);
    assert_eq!(lines(&output.text).len(), 1);
    assert!(output.error.contains("/nowhere/x.png"), "{}", output.error);
    assert!(output.error.contains(bad), "{}", output.error);
    output.fails_with("2 of 3");
}

#[test]
fn failures_are_named() {
    let coins = photo("coins.png");
    vmad(&["inspect", "/nowhere", &coins, "--device", "cpu"]).fails_with("/nowhere");
    let question = "why ".repeat(25_000);
    inspect(&[&coins, "--ask", &question]).fails_with("question");
    inspect(&[&coins, "--trace", "/nowhere/t.safetensors"]).fails_with("/nowhere/t.safetensors");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    inspect(&[&coins, "--out", file.to_str().unwrap()]).fails_with("file");
}

#[test]
fn chat_answers_line_after_line() {
    let package = nano();
    let arguments = [
        "chat",
        package.to_str().unwrap(),
        &photo("coins.png"),
        "--device",
        "cpu",
        "--max-new-tokens",
        "4",
    ];
    let too_long = "x".repeat(100_000);
    let input = format!("Is it ok?\n\n{too_long}\nWhere is it?\n");
    let output = vmad_reading(&arguments, &input);
    assert!(output.error.contains("error:"), "{}", output.error);
    let text = output.succeeds();
    assert!(text.contains("score"), "{text}");
}

#[test]
fn bench_prints_a_table() {
    let package = nano();
    let text = vmad(&[
        "bench",
        package.to_str().unwrap(),
        &photo("coins.png"),
        "--runs",
        "2",
        "--device",
        "cpu",
        "--max-new-tokens",
        "3",
    ])
    .succeeds();
    for row in [
        "| Stage | CPU |",
        "| clip |",
        "| generate |",
        "inspection in all",
    ] {
        assert!(text.contains(row), "{row} in {text}");
    }
}

#[test]
fn references_are_compared_with_and_named_when_bad() {
    let (coins, coffee) = (photo("coins.png"), photo("coffee.jpg"));
    let alone = lines(&inspect(&[&coins, "--json"]).succeeds());
    let against = inspect(&[&coins, "--json", "--reference", &coffee, &coins]).succeeds();
    let against = lines(&against);
    assert!(alone[0].get("n_references").is_none());
    assert_eq!(against[0]["n_references"], 2);
    assert_ne!(against[0]["score"], alone[0]["score"]);
    let people = inspect(&[&coins, "--reference", &coins]).succeeds();
    assert!(
        people.contains("compared with 1 reference photograph\n"),
        "{people}"
    );
    inspect(&[&coins, "--reference", "gone.png"]).fails_with("reference gone.png");
}
