//! Agreement with scikit-learn, and of PRO with MVTec's own code and with ADEval.
//! `tests/reference/metrics.py` makes the numbers.

use serde::Deserialize;
use vmad_eval::{PixelSet, ZSAD_THRESHOLDS, auroc, average_precision, f1_max};

/// Both sides work on the same f32 scores in f64; what is left is the order of summation.
const TOLERANCE: f64 = 1e-6;
const FPR_LIMIT: f64 = 0.3;

#[derive(Deserialize)]
struct Fixture {
    classification: Vec<Classification>,
    pixel: Vec<Pixel>,
}

#[derive(Deserialize)]
struct Classification {
    name: String,
    scores: Vec<f32>,
    labels: Vec<u8>,
    auroc: Option<f64>,
    ap: Option<f64>,
    f1_max: Option<f64>,
}

#[derive(Deserialize)]
struct Pixel {
    name: String,
    height: usize,
    width: usize,
    images: Vec<Image>,
    pixel_auroc: Option<f64>,
    pixel_ap: Option<f64>,
    pixel_f1_max: Option<f64>,
    pro_mvtec: Option<f64>,
    pro_zsad: Option<f64>,
}

#[derive(Deserialize)]
struct Image {
    map: Vec<f32>,
    mask: Vec<u8>,
}

type TestResult = Result<(), Box<dyn std::error::Error>>;

fn fixture() -> Result<Fixture, Box<dyn std::error::Error>> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/eval/metrics.json"
    );
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

fn as_bools(labels: &[u8]) -> Vec<bool> {
    labels.iter().map(|&label| label != 0).collect()
}

fn check(case: &str, metric: &str, actual: Option<f64>, expected: Option<f64>) {
    let agrees = match (actual, expected) {
        (None, None) => true,
        (Some(a), Some(e)) => (a - e).abs() <= TOLERANCE,
        _ => false,
    };
    assert!(agrees, "{case}: {metric} is {actual:?}, not {expected:?}");
}

#[test]
fn rankings_agree_with_scikit_learn() -> TestResult {
    for case in fixture()?.classification {
        let labels = as_bools(&case.labels);
        check(
            &case.name,
            "AUROC",
            auroc(&case.scores, &labels)?,
            case.auroc,
        );
        check(
            &case.name,
            "AP",
            average_precision(&case.scores, &labels)?,
            case.ap,
        );
        check(
            &case.name,
            "F1-max",
            f1_max(&case.scores, &labels)?.map(|best| best.f1),
            case.f1_max,
        );
    }
    Ok(())
}

#[test]
fn pixels_agree_with_the_reference() -> TestResult {
    for case in fixture()?.pixel {
        let (width, height) = (case.width, case.height);
        let masks: Vec<Vec<bool>> = case.images.iter().map(|i| as_bools(&i.mask)).collect();
        let maps: Vec<Vec<f32>> = case.images.into_iter().map(|i| i.map).collect();
        let ranked = PixelSet::of(&maps, &masks, width, height)?.rank();
        let name = &case.name;
        check(name, "pixel AUROC", ranked.auroc(), case.pixel_auroc);
        check(name, "pixel AP", ranked.average_precision(), case.pixel_ap);
        check(
            name,
            "pixel F1-max",
            ranked.f1_max().map(|best| best.f1),
            case.pixel_f1_max,
        );
        check(
            name,
            "PRO (MVTec)",
            ranked.pro_mvtec(FPR_LIMIT)?,
            case.pro_mvtec,
        );
        check(
            name,
            "PRO (200 thresholds)",
            ranked.pro_zsad(FPR_LIMIT, ZSAD_THRESHOLDS)?,
            case.pro_zsad,
        );
    }
    Ok(())
}
