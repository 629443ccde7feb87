//! The paper's Fig. 1b with the model that is shipped: the user's criterion decides what a defect is.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::{repository, vmad};

/// The entries of `samples.json` in a folder of the repository.
fn samples(folder: &Path) -> Vec<Value> {
    let list = std::fs::read(folder.join("samples.json")).unwrap();
    serde_json::from_slice(&list).unwrap()
}

fn page_samples() -> PathBuf {
    repository().join("www/app/public/samples")
}

/// Verdict and answer for a sample under one criterion. The verdict is `true` for anomalous.
fn inspect(folder: &Path, sample: &Value, criterion: &Value) -> (bool, String) {
    let photo = folder.join(sample["file"].as_str().unwrap());
    let package = repository().join("models/tiny");
    let result = vmad(&[
        "inspect",
        package.to_str().unwrap(),
        photo.to_str().unwrap(),
        "--object",
        sample["object"].as_str().unwrap(),
        "--normal",
        criterion["normal"].as_str().unwrap(),
        "--ask",
        "description",
        "--json",
        "--device",
        "cpu",
    ]);
    let result: Value = serde_json::from_str(&result.succeeds()).unwrap();
    let answer = result["answer"].as_str().unwrap().to_owned();
    (result["anomalous"].as_bool().unwrap(), answer)
}

#[test]
fn one_photograph_has_a_verdict_for_each_criterion() {
    let folder = page_samples();
    let mut samples = samples(&folder);
    samples.retain(|sample| sample.get("criteria").is_some());
    assert!(!samples.is_empty());
    for sample in &samples {
        let criteria = sample["criteria"].as_array().unwrap();
        let [allowed, forbidden] = criteria.as_slice() else {
            panic!("{sample}: two criteria")
        };
        let passes = inspect(&folder, sample, allowed);
        let rejected = inspect(&folder, sample, forbidden);
        assert!(!passes.0, "{}: {passes:?}", allowed["normal"]);
        assert!(rejected.0, "{}: {rejected:?}", forbidden["normal"]);
        assert!(passes.1.contains("No defect"), "{passes:?}");
        // `tablet-abrasion.jpg`
        let file = sample["file"].as_str().unwrap();
        let (_, kind) = file.trim_end_matches(".jpg").rsplit_once('-').unwrap();
        assert!(rejected.1.contains(kind), "{rejected:?}");
    }
}

/// The differences between what a withdrawn sample expects and what the model says.
fn mistakes(folder: &Path, sample: &Value) -> Vec<String> {
    let criteria = sample["criteria"].as_array().unwrap();
    assert!(!criteria.is_empty(), "{sample}: criteria");
    let mistake = |criterion: &Value| {
        let (anomalous, answer) = inspect(folder, sample, criterion);
        let is_right = criterion["anomalous"].as_bool().unwrap() == anomalous
            && answer.contains(criterion["answer"].as_str().unwrap());
        (!is_right).then(|| format!("{}: anomalous: {anomalous}, {answer}", criterion["normal"]))
    };
    criteria.iter().filter_map(mistake).collect()
}

/// A sample with a known failure has to fail, any other has to be right.
fn judge(file: &str, known_failure: Option<&str>, mistakes: &[String]) -> Result<(), String> {
    match (known_failure, mistakes.is_empty()) {
        (None, true) | (Some(_), false) => Ok(()),
        (None, false) => Err(format!("{file} is judged wrongly: {mistakes:?}")),
        (Some(failure), true) => Err(format!(
            "{file} is judged correctly and no longer fails ({failure}): \
             set its known_failure in tests/withdrawn_samples/samples.json to null"
        )),
    }
}

#[test]
fn withdrawn_samples_fail_only_where_that_is_known() {
    let folder = repository().join("tests/withdrawn_samples");
    let shown: Vec<Value> = samples(&page_samples());
    let withdrawn = samples(&folder);
    assert!(!withdrawn.is_empty());
    for sample in &withdrawn {
        let file = sample["file"].as_str().unwrap();
        assert!(
            shown.iter().all(|sample| sample["file"] != file),
            "the page shows {file}"
        );
        let known_failure = sample["known_failure"].as_str();
        judge(file, known_failure, &mistakes(&folder, sample)).unwrap();
    }
}

#[test]
fn a_known_failure_that_is_mended_is_reported() {
    let mistake = ["There must be no stains.: anomalous: true, a chip".to_owned()];
    assert!(judge("a.jpg", None, &[]).is_ok());
    assert!(judge("a.jpg", Some("says chip"), &mistake).is_ok());
    assert!(judge("a.jpg", None, &mistake).is_err());
    let mended = judge("a.jpg", Some("says chip"), &[]).unwrap_err();
    assert!(mended.contains("no longer fails"), "{mended}");
}
