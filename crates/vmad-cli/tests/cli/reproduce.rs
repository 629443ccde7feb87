//! `vmad reproduce` on a matrix of two models that are trained in seconds.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::{Output, contents, vmad};
use crate::train::CONFIG;

/// A matrix over the configuration of `vmad train`'s tests.
fn matrix(folder: &Path) -> PathBuf {
    let base = folder.join("base.toml");
    std::fs::write(&base, CONFIG).unwrap();
    let text = format!(
        "base = {base:?}
        [common]
        checkpoint_every = 2
        [evaluation]
        world = 'catalogue'
        seed = 99
        count = 4
        size = 64
        difficulty = 0.5
        timed = 1
        [[variant]]
        name = 'ltc'
        [[variant]]
        name = 'pool'
        set.model.projector = {{ kind = 'avg_pool', grid = 4, side = 2, d_vision = 32, d_text = 64 }}
        [[table]]
        title = 'Table IV'
        note = 'A note.'
        row = [
            {{ label = 'Average pooling', variant = 'pool', paper = {{ tokens = 144, pro = 91.9 }} }},
            {{ label = 'LTC', variant = 'ltc', paper = {{ pro = 91.2 }} }},
        ]"
    );
    let path = folder.join("matrix.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn reproduce(folder: &Path, extra: &[&str]) -> Output {
    let (config, out) = (folder.join("matrix.toml"), folder.join("out"));
    let arguments = [
        "reproduce",
        config.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
        "--seeds",
        "1",
    ];
    vmad(&[&arguments[..], extra].concat())
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The row of a table.
fn row<'t>(tables: &'t str, label: &str) -> &'t str {
    let start = format!("| {label} |");
    let line = tables.lines().find(|line| line.starts_with(&start));
    line.unwrap_or_else(|| panic!("{label} in {tables}"))
}

#[test]
fn a_half_done_matrix_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    matrix(folder);
    let out = folder.join("out");
    reproduce(folder, &["--only", "lct"]).fails_as_usage("lct");

    let first = reproduce(folder, &["--only", "pool"]).succeeds();
    assert!(first.contains("### Table IV") && first.contains("A note."));
    assert!(row(&first, "Average pooling").contains("| 1 | 4 (144) |"));
    assert!(row(&first, "LTC").contains("not run yet"), "{first}");
    assert_eq!(
        json(&out.join("results.json"))["runs"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    let pool = contents(&out.join("runs/pool-1"));
    let whole = reproduce(folder, &[]).succeeds();
    assert!(!whole.contains("not run yet"), "{whole}");
    assert!(
        contents(&out.join("runs/pool-1")) == pool,
        "finished runs stay"
    );
    let results = json(&out.join("results.json"));
    let runs = results["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    for run in runs {
        assert_eq!(run["measured"]["report"]["n_images"], 4);
        assert_eq!(run["measured"]["n_visual"], 4);
    }
    assert_eq!(
        std::fs::read_to_string(out.join("tables.md")).unwrap(),
        whole
    );

    // Cut off between the checkpoint at step 2 and the end, as if by a loss of power.
    let run = out.join("runs/ltc-1");
    let package = contents(&run.join("package"));
    std::fs::remove_file(run.join("result.json")).unwrap();
    std::fs::remove_dir_all(run.join("package")).unwrap();
    let mut progress = json(&run.join("run/progress.json"));
    progress["step"] = 2.into();
    progress["folder"] = "checkpoint-a".into();
    std::fs::write(run.join("run/progress.json"), progress.to_string()).unwrap();
    let resumed = reproduce(folder, &[]);
    assert!(
        resumed.error.contains("run 1 of 1: ltc-1"),
        "{}",
        resumed.error
    );
    resumed.succeeds();
    assert!(contents(&run.join("package")) == package, "the same steps");
    assert!(run.join("result.json").is_file());

    // Nothing is left to do, and nothing is done.
    let before = contents(&out);
    let again = reproduce(folder, &[]);
    assert!(!again.error.contains("run 1"), "{}", again.error);
    again.succeeds();
    assert!(contents(&out) == before);
    reproduce(folder, &["--steps", "1"]).fails_with("another configuration");
}
