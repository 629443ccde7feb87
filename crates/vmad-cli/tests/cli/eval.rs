//! Reports of `vmad eval`.

use std::path::Path;

use serde_json::Value;

use crate::common::{Output, contents, nano, vmad};
use crate::data::scenes;

fn eval(data: &Path, more: &[&str]) -> Output {
    let package = nano();
    let arguments = [
        "eval",
        package.to_str().unwrap(),
        data.to_str().unwrap(),
        "--device",
        "cpu",
        "--max-new-tokens",
        "4",
        "--grid",
        "61",
        "--bootstrap",
        "50",
    ];
    vmad(&[&arguments[..], more].concat())
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_report_has_every_file() {
    let (keep, data) = scenes("5", "7");
    let out = keep.path().join("report");
    let folder = out.to_str().unwrap();
    let more = [
        "--mmad",
        "--criteria",
        "--out",
        folder,
        "--ask",
        "description",
        "--ask",
        "impact",
        "--protocol",
        "cross-category",
    ];
    let table = eval(&data, &more).succeeds();
    for part in [
        "| category |",
        "| answers | description | impact |",
        "| choices |",
        "| criteria | verdicts |",
    ] {
        assert!(table.contains(part), "{part} in {table}");
    }
    let files: Vec<_> = contents(&out)
        .into_keys()
        .map(|name| name.to_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        files,
        [
            "answers.csv",
            "answers.jsonl",
            "criteria.csv",
            "images.csv",
            "metrics.csv",
            "mmad.csv",
            "mmad.jsonl",
            "report.html",
            "report.json",
            "report.md"
        ]
    );
    assert_eq!(
        std::fs::read_to_string(out.join("report.md")).unwrap(),
        table
    );

    let report = json(&out.join("report.json"));
    assert_eq!(report["n_images"], 7);
    assert_eq!(report["grid"], serde_json::json!([61, 61]));
    assert_eq!(report["bootstrap"]["n_resamples"], 50);
    let measured = &report["provenance"];
    assert_eq!(measured["protocol"], "cross-category");
    assert_eq!(measured["data"], "scenes");
    assert_eq!(
        measured["asked"],
        serde_json::json!(["description", "impact"])
    );
    assert_eq!(measured["model_sha256"].as_str().unwrap().len(), 64);
    let recipe = measured["recipe"].as_str().unwrap();
    assert!(
        recipe.contains("synth --split unseen --difficulty 0.5 --seed 5 --count 7"),
        "{recipe}"
    );
    let detection = &report["mmad"]["subtasks"]["Anomaly Detection"];
    assert_eq!(
        (&detection["of"], &detection["chance"]),
        (&7.into(), &0.5.into())
    );

    let n_categories = report["categories"].as_object().unwrap().len();
    assert_eq!(lines(&out.join("metrics.csv")).len(), 1 + n_categories + 1);
    let images = lines(&out.join("images.csv"));
    assert_eq!(images[0], "file,category,score,verdict,truth,kinds");
    assert_eq!(images.len(), 8);
    assert!(
        images
            .iter()
            .any(|line| line.starts_with("images/000006.png,"))
    );
    let answers = lines(&out.join("answers.jsonl"));
    assert_eq!(answers.len(), 14);
    for line in answers {
        let answer: Value = serde_json::from_str(&line).unwrap();
        for key in [
            "image",
            "category",
            "question",
            "answer",
            "truth",
            "parsed",
            "judgement",
        ] {
            assert!(answer.get(key).is_some(), "{key}");
        }
    }
    let n_questions = report["mmad"]["n_questions"].as_u64().unwrap();
    assert_eq!(lines(&out.join("mmad.jsonl")).len() as u64, n_questions);

    let n_defective = report["n_defective"].as_u64().unwrap();
    for (_, rate) in report["criteria"].as_object().unwrap() {
        assert_eq!(rate["of"].as_u64().unwrap(), n_defective);
    }
    let criteria = lines(&out.join("criteria.csv"));
    assert_eq!(criteria[0], "file,criterion,score,verdict");
    assert_eq!(criteria.len() as u64, 1 + 3 * n_defective);

    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    for part in [
        "data:image/jpeg;base64,",
        "<svg ",
        "nano on scenes",
        "Anomaly Detection",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for part in ["<script", "http:", "https:"] {
        assert!(!page.contains(part), "{part}");
    }
}

#[test]
fn a_report_repeats_and_is_held_against_another() {
    // Enough for a category with good and defective scenes, which an AUROC needs.
    let (keep, data) = scenes("6", "24");
    let reference = keep.path().join("before.json");
    let first = eval(&data, &["--json"]).succeeds();
    assert_eq!(first, eval(&data, &["--json"]).succeeds());
    std::fs::write(&reference, &first).unwrap();
    let path = reference.to_str().unwrap();
    let same = eval(&data, &["--reference", path]).succeeds();
    assert!(same.contains("| **mean** | image AUROC |"), "{same}");
    assert!(!same.contains("not comparable"), "{same}");
    let fewer = eval(&data, &["--reference", path, "--limit", "5"]).succeeds();
    assert!(
        fewer.contains("photographs: 5 here, 24 in the reference"),
        "{fewer}"
    );

    std::fs::write(&reference, "{}").unwrap();
    eval(&data, &["--reference", path]).fails_with("is not a report");
}

#[test]
fn questions_that_cannot_be_read_are_named() {
    let (keep, data) = scenes("6", "2");
    let file = keep.path().join("questions.json");
    let flag = format!("--mmad={}", file.to_str().unwrap());
    eval(&data, &[&flag]).fails_with("questions.json");
    std::fs::write(&file, r#"{"../secret.png": {"conversation": []}}"#).unwrap();
    eval(&data, &[&flag]).fails_with("leaves the folder");
    std::fs::write(&file, "{}").unwrap();
    eval(&data, &[&flag]).fails_with("no questions");
    std::fs::remove_file(data.join("mmad.json")).unwrap();
    eval(&data, &["--mmad"]).fails_with("mmad.json");
}

#[test]
fn a_report_with_references_says_that_it_is_not_zero_shot() {
    let (keep, data) = scenes("6", "4");
    let (_good, references) = scenes("7", "2");
    let photos = references.join("images");
    let folder = photos.to_str().unwrap();
    let before = keep.path().join("before.json");
    std::fs::write(&before, eval(&data, &["--json"]).succeeds()).unwrap();

    let report = eval(&data, &["--json", "--few-shot", folder]).succeeds();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        report["provenance"]["references"]["protocol"],
        "few-shot, 2 references: not the zero-shot protocol"
    );
    let table = [
        "--few-shot",
        folder,
        "--reference",
        before.to_str().unwrap(),
    ];
    let table = eval(&data, &table).succeeds();
    assert!(table.contains("not the zero-shot protocol"), "{table}");
    assert!(table.contains("references: few-shot"), "{table}");

    let own = data.join("images");
    eval(&data, &["--few-shot", own.to_str().unwrap()]).fails_with("both a reference");
}
