//! The paper's Fig. 1b with the model that is shipped: what counts as a defect is the user's to say.

use serde_json::Value;

use crate::common::{repository, vmad};

/// The samples of the page that are judged by several criteria.
fn samples() -> Vec<Value> {
    let list = repository().join("www/app/public/samples/samples.json");
    let list: Vec<Value> = serde_json::from_slice(&std::fs::read(list).unwrap()).unwrap();
    let has_criteria = |sample: &Value| sample.get("criteria").is_some();
    list.into_iter().filter(has_criteria).collect()
}

fn judged(sample: &Value, criterion: &Value) -> (bool, String) {
    let file = sample["file"].as_str().unwrap();
    let photo = repository().join("www/app/public/samples").join(file);
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
    let samples = samples();
    assert!(!samples.is_empty());
    for sample in &samples {
        let criteria = sample["criteria"].as_array().unwrap();
        let [allowed, forbidden] = criteria.as_slice() else {
            panic!("{sample}: two criteria")
        };
        let (passes, rejected) = (judged(sample, allowed), judged(sample, forbidden));
        assert!(!passes.0, "{}: {passes:?}", allowed["normal"]);
        assert!(rejected.0, "{}: {rejected:?}", forbidden["normal"]);
        assert!(passes.1.contains("No defect"), "{passes:?}");
        // `tablet-abrasion.jpg`
        let file = sample["file"].as_str().unwrap();
        let (_, kind) = file.trim_end_matches(".jpg").rsplit_once('-').unwrap();
        assert!(rejected.1.contains(kind), "{rejected:?}");
    }
}
