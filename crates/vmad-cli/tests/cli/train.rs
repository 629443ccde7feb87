//! `vmad train` on a model that is trained in seconds.

use std::path::Path;

use serde_json::Value;

use crate::common::{contents, vmad};

pub const CONFIG: &str = r#"
name = "mini"
seed = 3
steps = 3
batch = 2
checkpoint_every = 2
vocab_size = 512

[optimiser]
learning_rate = 1e-3
final_share = 0.1
warmup_steps = 1
weight_decay = 0.01
clip_norm = 1.0

[loss]
text = 1.0
bce = 2.0
dice = 0.5
patch = 0.5

[data]
pool = 4
pool_start = 2
pool_growth = 1
difficulty_start = 0.1
difficulty_end = 0.6

[tasks]
second_turn = 0.5
normal_description = 0.3

[conversation]
system = "A chat."
user = "USER"
assistant = "ASSISTANT"
separator = " "
end = "</s>"

[recipe]
default = "f16"
rules = [{ pattern = "llm.*_proj.weight", storage = "int4" }]

[model.clip]
image_size = 56
patch_size = 14
d_model = 32
n_layers = 4
n_heads = 4
d_ff = 32
layer_norm_eps = 1.0e-5
taps = [1, 2, 3, 4]

[model.projector]
kind = "ltc"
grid = 4
d_vision = 32
d_text = 64
d_hidden = 64
n_levels = 4
stride = 2
n_heads = 4
n_points = 4
n_learner_blocks = 1
n_res_blocks = 1
d_ff = 32
se_dim = 8
inject_heads = 4

[model.llm]
vocab_size = 512
d_model = 64
n_layers = 2
n_heads = 4
n_kv_heads = 2
d_ff = 64
rms_norm_eps = 1.0e-5
rope_theta = 10000.0
max_positions = 640
tie_embeddings = true

[model.sam]
image_size = 64
patch_size = 16
d_model = 24
n_layers = 2
n_heads = 3
d_ff = 32
window = 3
global_blocks = [1]
d_out = 32
layer_norm_eps = 1.0e-6
decoder_heads = 4
decoder_layers = 2
decoder_ff = 48
n_mask_tokens = 4
cross_downsample = 2
similarity_prompt = true
"#;

/// Trains in `folder`, in one go or in two.
fn train(folder: &Path, extra: &[&str]) -> crate::common::Output {
    let config = folder.join("mini.toml");
    std::fs::write(&config, CONFIG).unwrap();
    let (run, package) = (folder.join("run"), folder.join("package"));
    let mut arguments = vec![
        "train",
        config.to_str().unwrap(),
        "--run",
        run.to_str().unwrap(),
        "--package",
        package.to_str().unwrap(),
        "--calibrate",
        "12",
    ];
    arguments.extend(extra);
    vmad(&arguments)
}

#[test]
fn a_run_is_stopped_resumed_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    train(folder, &["--export-only"]).fails_with("no checkpoint");
    let stopped = train(folder, &["--steps-now", "1"]);
    assert!(stopped.error.contains("step 1 of 3"), "{}", stopped.error);
    stopped.succeeds();
    assert!(!folder.join("package").exists());

    train(folder, &[]).succeeds();
    let log = std::fs::read_to_string(folder.join("run/losses.csv")).unwrap();
    let steps: Vec<_> = log
        .lines()
        .map(|line| line.split(',').next().unwrap())
        .collect();
    assert_eq!(steps, ["step", "1", "2", "3"]);
    let package = folder.join("package");
    vmad(&["package", "verify", package.to_str().unwrap()]).succeeds();
    let files = contents(&package);
    let manifest: Value = serde_json::from_slice(&files[Path::new("model.json")]).unwrap();
    let source = manifest["threshold"]["source"].as_str().unwrap();
    assert!(
        source.contains("12 synthetic scenes, split train"),
        "{source}"
    );

    // The newest checkpoint gives the same package again, and stopping changed nothing.
    train(folder, &["--export-only"]).succeeds();
    assert!(contents(&package) == files, "exported again");
    let other = tempfile::tempdir().unwrap();
    train(other.path(), &[]).succeeds();
    assert!(
        contents(&other.path().join("package")) == files,
        "trained in one go"
    );
}

/// A plan of two runs, the second of which starts from the first.
fn plan(folder: &Path, seed: i64) -> std::path::PathBuf {
    let mut base: toml::Table = CONFIG.parse().unwrap();
    base.remove("name");
    let runs = folder.join("runs");
    let text = format!(
        "[template.mini]\n[[run]]\nname = 'one'\nextends = 'mini'\nsteps = 2\n[[run]]\nname = 'two'\n\
         extends = 'one'\nsteps = 3\nseed = {seed}\nstart = {{ package = {:?} }}\npackage = {:?}",
        runs.join("one/package"),
        folder.join("package"),
    );
    let mut plan: toml::Table = text.parse().unwrap();
    plan["template"]["mini"] = base.into();
    let path = folder.join("plan.toml");
    std::fs::write(&path, plan.to_string()).unwrap();
    path
}

#[test]
fn a_plan_is_trained_in_order_and_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (path, runs) = (plan(folder, 4), folder.join("runs"));
    let train = |extra: &[&str]| {
        let (path, runs) = (path.to_str().unwrap(), runs.to_str().unwrap());
        let arguments = ["train", "--plan", path, "--runs", runs];
        vmad(&[&arguments[..], extra].concat())
    };
    train(&["--only", "three"]).fails_as_usage("there are one, two");
    let stopped = train(&["--steps-now", "1"]);
    assert!(
        stopped
            .error
            .contains("run 1 of 2: one: stopped at step 1 of 2"),
        "{}",
        stopped.error
    );
    stopped.succeeds();
    train(&["--only", "one"]).succeeds();
    assert!(!folder.join("package").exists());
    let rest = train(&[]);
    assert!(
        rest.error.contains("run 1 of 2: one: finished"),
        "{}",
        rest.error
    );
    rest.succeeds();
    let files = contents(&folder.join("package"));
    let manifest: Value = serde_json::from_slice(&files[Path::new("model.json")]).unwrap();
    let made = &manifest["provenance"];
    assert_eq!(made["runs"], "one, two");
    assert!(
        made["start"].as_str().unwrap().starts_with("one (weights "),
        "{made}"
    );
    assert_eq!(made["steps"], "3 of 3");
    train(&[]).succeeds();
    assert!(
        contents(&folder.join("package")) == files,
        "finished runs stay"
    );
    plan(folder, 5);
    train(&[]).fails_with("another configuration");
}

#[test]
fn a_configuration_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.toml");
    std::fs::write(&bad, CONFIG.replace("seed = 3", "seed = \"three\"")).unwrap();
    let bad = bad.to_str().unwrap();
    vmad(&["train", bad, "--run", "r", "--package", "p"]).fails_with("bad.toml");
}
