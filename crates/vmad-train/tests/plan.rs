//! The plan of `models/tiny`, and the checkpoints that its runs start from.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use vmad_package::{Conversation, Manifest};
use vmad_package::{PackageMeta, PackageWriter, Recipe, Sha256, Storage, Templates, Threshold};
use vmad_train::{
    PackageWeights, Plan, StripOptions, StripReport, TrainError, learned_names, strip_checkpoint,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn plan() -> Plan {
    Plan::read(&root().join("models/tiny/runs.toml")).unwrap()
}

/// The configurations are those that the shipped model was trained with: SHA-256 of their canonical TOML, first 16
/// digits. They were compared with the single files that the plan replaced, field by field.
#[test]
fn the_runs_are_those_of_the_shipped_model() {
    let digests: Vec<(String, String)> = plan()
        .runs
        .iter()
        .map(|run| {
            let text = toml::to_string(&run.config).unwrap();
            let digest = Sha256::of(text.as_bytes()).to_string();
            (run.config.name.clone(), digest[..16].to_owned())
        })
        .collect();
    let digests: Vec<(&str, &str)> = digests.iter().map(|(n, d)| (&n[..], &d[..])).collect();
    assert_eq!(digests, EXPECTED);
}

const EXPECTED: [(&str, &str); 12] = [
    ("tiny-clip-close", "e0ea6028e37f5e87"),
    ("tiny-clip", "413470f32d9ae85d"),
    ("tiny-clip-more", "26572308610ff602"),
    ("tiny-clip-whole", "c7ee9cbdc0615fa0"),
    ("tiny-clip-more2", "87ac8b5d4da7a18f"),
    ("tiny-clip-whole2", "686b8db98fdabb73"),
    ("tiny-sam-close", "c999328d6739de73"),
    ("tiny-sam", "fca7ad1dd4bf37f0"),
    ("tiny-talk", "7e92a39ab8b0e171"),
    ("tiny-talk-place", "062fd76db250d7a1"),
    ("tiny-talk-names", "0546e2ed7c04b4e3"),
    ("tiny", "ee0a3d2e63bc4d1e"),
];

/// Every tensor of the model that a run uses has values in the packages that it starts from, as far as these are in
/// the repository.
#[test]
fn checkpoints_hold_what_their_runs_have_learned() {
    let checkpoints = root().join("models/checkpoints");
    let plan = plan();
    for (folder, run) in [
        ("tiny-clip", "tiny-clip-whole"),
        ("tiny-clip-whole2", "tiny-clip-whole2"),
        ("tiny-sam", "tiny-sam"),
        ("tiny-talk", "tiny-talk"),
        ("tiny-talk-place", "tiny-talk-place"),
        ("tiny-talk-names", "tiny-talk-names"),
    ] {
        let package = PackageWeights::read(&checkpoints.join(folder)).unwrap();
        let mut held: Vec<&str> = package
            .manifest
            .tensors()
            .iter()
            .map(|t| &*t.name)
            .collect();
        held.sort_unstable();
        let mut learned = learned_names(&plan.run(run).unwrap().config).unwrap();
        learned.sort_unstable();
        assert_eq!(held, learned, "{folder}");
        let shapes = vmad_model::Vmad::shapes(&plan.run(run).unwrap().config.model).unwrap();
        for (name, shape) in shapes {
            match package.tensors.get(&name) {
                Some((values, actual)) => {
                    assert_eq!(*actual, shape, "{folder}: {name}");
                    assert_eq!(values.len(), shape.iter().product::<usize>());
                }
                None => assert!(package.is_absent(&name), "{folder}: {name}"),
            }
        }
    }
}

/// A package of vectors.
fn package(dir: &Path, tensors: &[(&str, [f32; 2])]) {
    let meta = PackageMeta {
        name: "test".to_owned(),
        description: String::new(),
        license: String::new(),
        provenance: BTreeMap::new(),
        config: serde_json::Value::Null,
        conversation: Conversation::vicuna_v1(),
        templates: Templates::paper(),
        threshold: Threshold {
            image: 0.5,
            pixel: 0.5,
            temperature: 1.0,
            source: String::new(),
        },
    };
    let recipe = Recipe::new(Storage::F16);
    let mut writer = PackageWriter::new(meta, b"{}".to_vec(), 1 << 20).unwrap();
    for (name, values) in tensors {
        let storage = recipe.storage_for(name, &[2]);
        writer.add(name, &[2], values, storage).unwrap();
    }
    std::fs::create_dir_all(dir).unwrap();
    let written: Manifest = writer
        .finish(&mut |file, content| std::fs::write(dir.join(file), content))
        .unwrap();
    assert_eq!(written.tensors().len(), tensors.len());
}

#[test]
fn a_stripped_checkpoint_is_filled_from_its_base() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str| dir.path().join(name);
    let base = [
        ("a.x", [1.0, 2.0]),
        ("b.x", [3.0, 4.0]),
        ("c.x", [5.0, 6.0]),
    ];
    package(&folder("base"), &base);
    let whole = [
        ("a.x", [9.0, 8.0]),
        ("b.x", [3.0, 4.0]),
        ("c.x", [7.0, 7.0]),
    ];
    package(&folder("whole"), &whole);
    let options = |learned: &str, pattern: &str| StripOptions {
        learned: vec![learned.to_owned()],
        bases: vec![(pattern.to_owned(), folder("base"))],
    };
    let strip = |learned: &str, pattern: &str| {
        strip_checkpoint(
            &folder("whole"),
            &options(learned, pattern),
            &folder("small"),
        )
    };
    let error = strip("a.*", "*").err().unwrap().to_string();
    assert!(error.contains("c.x has other values"), "{error}");
    let error = strip("d.*", "b.*").err().unwrap().to_string();
    assert!(error.contains("no tensor is called"), "{error}");
    let report = StripReport {
        n_learned: 1,
        n_in_bases: 1,
        n_absent: 1,
    };
    assert_eq!(strip("a.*", "b.*").unwrap(), report);

    let filled = PackageWeights::read(&folder("small")).unwrap();
    for (name, values) in &whole[..2] {
        assert_eq!(filled.tensors[*name], (values.to_vec(), vec![2]), "{name}");
    }
    assert!(filled.is_absent("c.x") && !filled.is_absent("a.x"));

    // A base with other weights is refused.
    package(&folder("base"), &whole);
    let error = PackageWeights::read(&folder("small")).err().unwrap();
    assert!(matches!(error, TrainError::WrongBase { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("small") && text.contains("base"), "{text}");
    std::fs::remove_dir_all(folder("base")).unwrap();
    let error = PackageWeights::read(&folder("small"))
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("its base ../base cannot be read"), "{error}");
}
