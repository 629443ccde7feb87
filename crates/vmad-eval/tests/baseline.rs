//! The detectors of `vmad_eval::baseline` against scikit-learn and SciPy;
//! `tests/reference/baselines.py` makes the numbers.

use serde::Deserialize;
use vmad_eval::EvalError;
use vmad_eval::baseline::{
    Covariance, Padim, PatchCore, PatchGrid, Planes, difference_of_gaussians, local_z_score,
};

/// Largest relative difference (absolute below 1) from the reference's f64. PaDiM computes in f64
/// as well; what remains there is the condition of a covariance of few images.
const TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
struct Fixture {
    padim: Vec<PadimCase>,
    patchcore: Vec<PatchCoreCase>,
    contrast: Vec<ContrastCase>,
}

#[derive(Deserialize)]
struct PadimCase {
    name: String,
    shape: (usize, usize, usize),
    normal: Vec<Vec<f32>>,
    test: Vec<f32>,
    ledoit_wolf: Vec<f64>,
    ridge: Vec<f64>,
}

#[derive(Deserialize)]
struct PatchCoreCase {
    name: String,
    shape: (usize, usize, usize),
    normal: Vec<Vec<f32>>,
    test: Vec<f32>,
    share: f64,
    neighbours: usize,
    n_bank: usize,
    map: Vec<f64>,
    score: f64,
    reweighted: f64,
}

#[derive(Deserialize)]
struct ContrastCase {
    name: String,
    size: (usize, usize),
    picture: Vec<f32>,
    fine: f64,
    coarse: f64,
    radius: usize,
    floor: f32,
    dog: Vec<f64>,
    z_score: Vec<f64>,
}

fn fixture() -> Fixture {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/eval/baselines.json"
    );
    let text = std::fs::read_to_string(path).expect("the fixture is part of the repository");
    serde_json::from_str(&text).expect("the fixture has this form")
}

fn check(name: &str, actual: &[f32], expected: &[f64]) {
    assert_eq!(actual.len(), expected.len(), "{name}");
    for (i, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let difference = (f64::from(*actual) - expected).abs() / expected.abs().max(1.0);
        assert!(
            difference <= TOLERANCE,
            "{name}[{i}] is {actual}, the reference says {expected}"
        );
    }
}

fn grids(shape: (usize, usize, usize), images: &[Vec<f32>]) -> Result<Vec<PatchGrid>, EvalError> {
    let (rows, columns, d) = shape;
    let grid = |values: &Vec<f32>| PatchGrid::new(rows, columns, d, values.clone());
    images.iter().map(grid).collect()
}

#[test]
fn padim() -> Result<(), EvalError> {
    for case in fixture().padim {
        let normal = grids(case.shape, &case.normal)?;
        let test = &grids(case.shape, &[case.test])?[0];
        for (covariance, expected) in [
            (Covariance::LedoitWolf, &case.ledoit_wolf),
            (Covariance::Ridge(0.01), &case.ridge),
        ] {
            let map = Padim::fit(&normal, covariance)?.map(test)?;
            check(&format!("{}, {covariance:?}", case.name), &map, expected);
        }
    }
    Ok(())
}

#[test]
fn patchcore() -> Result<(), EvalError> {
    for case in fixture().patchcore {
        let core = PatchCore::fit(&grids(case.shape, &case.normal)?, case.share)?;
        assert_eq!(core.n_patches(), case.n_bank, "{}", case.name);
        let test = &grids(case.shape, &[case.test])?[0];
        let plain = core.judge(test, None)?;
        check(&case.name, &plain.map, &case.map);
        check(&case.name, &[plain.score], &[case.score]);
        let reweighted = core.judge(test, Some(case.neighbours))?;
        check(&case.name, &reweighted.map, &case.map);
        check(&case.name, &[reweighted.score], &[case.reweighted]);
    }
    Ok(())
}

#[test]
fn contrast() -> Result<(), EvalError> {
    for case in fixture().contrast {
        let (width, height) = case.size;
        let picture = Planes::new(width, height, case.picture)?;
        let dog = difference_of_gaussians(&picture, case.fine, case.coarse)?;
        check(&case.name, &dog, &case.dog);
        let z_score = local_z_score(&picture, case.radius, case.floor)?;
        check(&case.name, &z_score, &case.z_score);
    }
    Ok(())
}
