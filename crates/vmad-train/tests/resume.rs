//! A run that is cut and resumed takes the same steps as one that is not.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use vmad_package::{Manifest, Threshold};
use vmad_train::{ExportOptions, LossPart, TrainConfig, TrainError, Trainer};

const CONFIG: &str = r#"
name = "resume"
seed = 3
steps = 3
batch = 2
micro_batches = 2
checkpoint_every = 2
vocab_size = 512

[optimiser]
learning_rate = 1.0e-3
final_share = 0.1
warmup_steps = 1
weight_decay = 0.02
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
difficulty_end = 0.5

[tasks]
second_turn = 0.5
normal_description = 0.3

[conversation]
system = ""
user = "USER"
assistant = "ASSISTANT"
separator = " "
end = "</s>"

[recipe]
default = "f16"

[model.clip]
image_size = 28
patch_size = 14
d_model = 16
n_layers = 2
n_heads = 2
d_ff = 16
layer_norm_eps = 1.0e-5
taps = [1, 2]
similarity_prompt = true

[model.projector]
kind = "ltc"
grid = 2
d_vision = 16
d_text = 16
d_hidden = 16
n_levels = 2
stride = 2
n_heads = 2
n_points = 2
n_learner_blocks = 1
n_res_blocks = 1
d_ff = 16
se_dim = 4
inject_heads = 2

[model.llm]
vocab_size = 512
d_model = 16
n_layers = 1
n_heads = 2
n_kv_heads = 1
d_ff = 16
rms_norm_eps = 1.0e-5
rope_theta = 10000.0
max_positions = 512
tie_embeddings = true

[model.sam]
image_size = 64
patch_size = 16
d_model = 16
n_layers = 1
n_heads = 2
d_ff = 16
window = 3
global_blocks = []
d_out = 16
layer_norm_eps = 1.0e-6
decoder_heads = 2
decoder_layers = 1
decoder_ff = 16
n_mask_tokens = 1
cross_downsample = 2
stem = "overlap"
similarity_prompt = true
"#;

fn open(dir: &Path) -> Result<Trainer, TrainError> {
    open_with(dir, CONFIG)
}

fn open_with(dir: &Path, config: &str) -> Result<Trainer, TrainError> {
    let path = dir.join("config.toml");
    std::fs::write(&path, config).unwrap();
    Trainer::open(
        TrainConfig::read(&path)?,
        &dir.join("run"),
        Device::flex().autodiff(),
    )
}

/// A run that is cut after two of three steps, against one that is not.
fn check_resumption(name: &str, config: &str) {
    let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut trainer = open_with(whole.path(), config).unwrap();
    let straight: Vec<_> = (0..3).map(|_| trainer.step().unwrap().losses).collect();

    let mut trainer = open_with(cut.path(), config).unwrap();
    let mut resumed: Vec<_> = (0..2).map(|_| trainer.step().unwrap().losses).collect();
    assert!(trainer.checkpoint_due(), "{name}");
    trainer.save().unwrap();
    drop(trainer);
    let mut trainer = open_with(cut.path(), config).unwrap();
    assert_eq!(trainer.step_count(), 2, "{name}");
    resumed.push(trainer.step().unwrap().losses);
    assert!(trainer.is_done(), "{name}");
    assert_eq!(straight, resumed, "{name}");
}

/// The configuration with lines of its top level replaced or added, and tables added at its end.
fn with(top: &str, tables: &str) -> String {
    format!("{top}\n{CONFIG}\n{tables}\n")
}

#[test]
fn resuming_continues_exactly() {
    check_resumption("the whole model", CONFIG);
    check_resumption("vision", &with("stage = \"vision\"", ""));
    let worlds = "worlds = { workshop = 1.0 }\naugment = true\n";
    let other_data = CONFIG.replacen("[data]\n", &format!("[data]\n{worlds}"), 1);
    check_resumption("another world, augmented", &other_data);
}

/// Batch norms take their statistics at a checkpoint; that changes no step.
#[test]
fn resuming_continues_exactly_with_muon_batch_norms_and_crops() {
    let muon = "muon = { matrices = [\"clip.encoder.layers.*.mlp.*.weight\"], rate = 4.0 }\n";
    let config = with("stage = \"vision\"", "")
        .replacen("[optimiser]\n", &format!("[optimiser]\n{muon}"), 1)
        .replacen("[data]\n", "[data]\ncrop = 0.5\ndefective = 0.9\n", 1)
        .replacen("patch = 0.5\n", "patch = 0.5\nkind = 0.5\n", 1)
        .replacen(
            "image_size = 28\npatch_size = 14",
            "image_size = 32\npatch_size = 16",
            1,
        )
        .replacen(
            "taps = [1, 2]\n",
            "taps = [1, 2]\nstem = \"overlap_batch\"\n",
            1,
        );
    check_resumption("Muon, batch norms, crops", &config);

    let dir = tempfile::tempdir().unwrap();
    let mut trainer = open_with(dir.path(), &config).unwrap();
    let name = "clip.embeddings.stem.0.norm.running_mean";
    let (before, after) = (dir.path().join("before"), dir.path().join("after"));
    export(&trainer, &before);
    trainer.step().unwrap();
    trainer.save().unwrap();
    export(&trainer, &after);
    assert_ne!(stored(&before, name), stored(&after, name));
    // Outside of training a preview does not depend on the other views of its batch.
    let scenes = trainer.held_out(3).unwrap();
    let together = trainer.preview(&scenes).unwrap();
    let alone = trainer.preview(&scenes[..1]).unwrap();
    assert_eq!(alone[0].kinds, together[0].kinds);
    let gap = alone[0].map.iter().zip(&together[0].map);
    assert!(gap.map(|(a, b)| (a - b).abs()).all(|gap| gap < 1e-5));
}

/// Frozen encoders' features, DSSL's memory and LoRA's factors and dropout come back as well.
#[test]
fn resuming_continues_exactly_with_frozen_encoders_dssl_and_lora() {
    let frozen = "freeze = [\"clip.*\", \"sam.image_encoder.*\"]";
    let tables = "[ablation.lora]\nrank = 2\n\n[ablation.dssl]\nwarmup_steps = 1\nn_boxes = 2\nmin_normal = 1\n\
                  class_key = \"any\"\n";
    // Views that come again, so that features are kept.
    let config = with(frozen, tables).replacen("[data]\n", "[data]\nviews_per_scene = 1\n", 1);
    check_resumption("frozen, DSSL, LoRA", &config);
}

#[test]
fn dssl_has_a_loss_once_its_memory_is_filled() {
    let tables =
        "[ablation.dssl]\nwarmup_steps = 0\nn_boxes = 2\nmin_normal = 1\nclass_key = \"any\"\n";
    let config = with("", tables).replace("steps = 3", "steps = 6");
    let dir = tempfile::tempdir().unwrap();
    let mut trainer = open_with(dir.path(), &config).unwrap();
    let losses: Vec<f32> = (0..6)
        .map(|_| trainer.step().unwrap().losses.part(LossPart::Dssl))
        .collect();
    assert_eq!(losses[0], 0.0, "an empty memory: {losses:?}");
    assert!(losses.iter().any(|loss| *loss > 0.0), "{losses:?}");
}

#[test]
fn frozen_encoders_give_the_same_step_as_encoders_that_run() {
    let step = |top: &str, data: &str| {
        let dir = tempfile::tempdir().unwrap();
        let config = with(top, "").replacen("[data]\n", &format!("[data]\n{data}"), 1);
        let mut trainer = open_with(dir.path(), &config).unwrap();
        trainer.step().unwrap().losses.total
    };
    let frozen = "freeze = [\"clip.*\", \"sam.image_encoder.*\"]";
    let kept = step(frozen, "views_per_scene = 1\n");
    let computed = step("", "views_per_scene = 1\n");
    // Features are kept as f16: 2⁻¹¹ relative, over a few layers.
    assert!(
        (kept - computed).abs() < 5e-3 * computed,
        "{kept} against {computed}"
    );
}

#[test]
fn lora_trains_its_factors_and_is_merged_on_export() {
    let dir = tempfile::tempdir().unwrap();
    let config = with("", "[ablation.lora]\nrank = 2\ndropout = 0.0\n");
    let mut trainer = open_with(dir.path(), &config).unwrap();
    let (before, after) = (dir.path().join("before"), dir.path().join("after"));
    export(&trainer, &before);
    (0..2).for_each(|_| {
        trainer.step().unwrap();
    });
    export(&trainer, &after);
    let base = "llm.layers.0.self_attn";
    for (part, changes) in [("q_proj", true), ("v_proj", true), ("k_proj", false)] {
        let name = format!("{base}.{part}.weight");
        let is_changed = stored(&before, &name) != stored(&after, &name);
        assert_eq!(is_changed, changes, "{name}");
    }
}

#[test]
fn a_preview_of_held_out_scenes_changes_nothing() {
    let (watched, plain) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut trainer = open(watched.path()).unwrap();
    let scenes = trainer.held_out(3).unwrap();
    let previews = trainer.preview(&scenes).unwrap();
    assert_eq!(previews.len(), 3);
    for preview in &previews {
        assert_eq!(preview.map.len(), preview.side * preview.side);
        assert_eq!(preview.target.len(), preview.map.len());
        assert!(preview.map.iter().all(|p| (0.0..=1.0).contains(p)));
    }
    let with_preview = trainer.step().unwrap().losses;
    let without = open(plain.path()).unwrap().step().unwrap().losses;
    assert_eq!(with_preview, without);
}

/// A data set of ten small scenes.
fn dataset(dir: &Path) {
    let scenes = vmad_data::Generator::new(1, vmad_data::Split::Train, 48);
    let go_on = &mut |_, _| std::ops::ControlFlow::Continue(());
    vmad_data::write_dataset(dir, &scenes, 10, go_on).unwrap();
}

#[test]
fn a_run_learns_from_a_data_set_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    dataset(&data);
    let folder = |on_bad_image: &str| {
        let folder = format!("[[data.folders]]\npath = {data:?}\nshare = 1.0\n");
        let only = format!("[data]\nworlds = {{}}\non_bad_image = \"{on_bad_image}\"\n");
        with("", &folder).replacen("[data]\n", &only, 1)
    };
    check_resumption("a folder", &folder("fail"));

    // Every photograph but one is broken.
    for index in 1..10 {
        std::fs::write(data.join(format!("images/{index:06}.png")), "broken").unwrap();
    }
    let trouble = dir.path().join("fail");
    std::fs::create_dir(&trouble).unwrap();
    let error = open_with(&trouble, &folder("fail"))
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("images/0000"), "{error}");
    let patience = dir.path().join("skip");
    std::fs::create_dir(&patience).unwrap();
    let mut trainer = open_with(&patience, &folder("skip")).unwrap();
    trainer.step().unwrap();
    let skipped = trainer.skipped();
    assert!(!skipped.is_empty());
    assert!(
        skipped
            .iter()
            .all(|(path, why)| path.ends_with(".png") && !why.is_empty())
    );
}

fn export(trainer: &Trainer, out: &Path) -> Manifest {
    let threshold = Threshold {
        image: 0.5,
        pixel: 0.5,
        temperature: 1.0,
        source: "a test".to_owned(),
    };
    let options = ExportOptions {
        description: "a test".to_owned(),
        provenance: BTreeMap::new(),
        threshold,
    };
    trainer.export(&options, out).unwrap()
}

#[test]
fn the_export_is_a_valid_package_with_every_tensor() {
    let dir = tempfile::tempdir().unwrap();
    let trainer = open(dir.path()).unwrap();
    let out = dir.path().join("package");
    let written = export(&trainer, &out);
    let read = Manifest::parse(&std::fs::read(out.join("model.json")).unwrap()).unwrap();
    assert_eq!(read, written);
    let expected = vmad_model::Vmad::shapes(&trainer.config().model).unwrap();
    assert_eq!(read.tensors().len(), expected.len());
}

/// A tensor of a package, as it is stored.
fn stored(package: &Path, name: &str) -> Vec<u8> {
    let manifest = Manifest::parse(&std::fs::read(package.join("model.json")).unwrap()).unwrap();
    let shards = manifest.shards().iter();
    shards
        .map(|shard| std::fs::read(package.join(&shard.file)).unwrap())
        .find_map(|bytes| {
            let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            file.tensor(name).map(|view| view.data().to_vec()).ok()
        })
        .unwrap()
}

#[test]
fn a_second_stage_starts_from_a_package() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    export(&open(dir.path()).unwrap(), &first);

    let stage = dir.path().join("stage");
    std::fs::create_dir(&stage).unwrap();
    // Another seed, so that nothing is equal by chance.
    let config = CONFIG.replace("seed = 3", "seed = 4");
    assert_ne!(config, CONFIG);
    let start = |package: &Path| {
        let table =
            format!("[start]\npackage = {package:?}\nreinitialise = [\"llm.*\"]\n\n[optimiser]");
        config.replacen("[optimiser]", &table, 1)
    };
    export(&open_with(&stage, &start(&first)).unwrap(), &second);
    let kept = "clip.embeddings.class_embedding";
    let fresh = "llm.embed_tokens.weight";
    assert_eq!(stored(&first, kept), stored(&second, kept));
    assert_ne!(stored(&first, fresh), stored(&second, fresh));

    let nowhere = dir.path().join("nowhere");
    std::fs::create_dir(&nowhere).unwrap();
    let error = open_with(&nowhere, &start(&nowhere)).err().unwrap();
    assert!(error.to_string().contains("model.json"), "{error}");
}

#[test]
fn a_part_starts_from_a_package_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str| {
        let folder = dir.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        folder
    };
    let (clip, sam, both) = (folder("clip"), folder("sam"), folder("both"));
    export(&open(&clip).unwrap(), &clip.join("package"));
    let config = CONFIG.replace("seed = 3", "seed = 4");
    export(&open_with(&sam, &config).unwrap(), &sam.join("package"));

    let table = format!(
        "[start]\npackage = {:?}\nparts = {{ \"sam.*\" = {:?} }}\n\n[optimiser]",
        clip.join("package"),
        sam.join("package"),
    );
    let config = CONFIG
        .replace("seed = 3", "seed = 5")
        .replacen("[optimiser]", &table, 1);
    export(&open_with(&both, &config).unwrap(), &both.join("package"));
    let from = |folder: &Path, name: &str| stored(&folder.join("package"), name);
    for (name, source) in [
        ("clip.embeddings.class_embedding", &clip),
        ("llm.embed_tokens.weight", &clip),
        ("sam.image_encoder.pos_embed", &sam),
    ] {
        assert_eq!(from(&both, name), from(source, name), "{name}");
    }
    let name = "sam.image_encoder.pos_embed";
    assert_ne!(from(&both, name), from(&clip, name));
}

/// With the evidence of the masks, and where no dialogue has a mask.
#[test]
fn evidence_of_masks_takes_part() {
    let with_evidence = |config: &str| {
        let tables = "[model.evidence]\nd_hidden = 8\n";
        let weights = "patch = 0.5\nevidence = 0.5\ncriterion = 0.5\n";
        let losses = config.replacen("patch = 0.5\n", weights, 1);
        format!("{losses}\n{tables}")
    };
    let tasks = |shares: &str| CONFIG.replacen("[tasks]\n", &format!("[tasks]\n{shares}\n"), 1);
    let rates = "[optimiser]\nrate_factors = { \"sam.mask_decoder.*\" = 0.2 }\n";
    let masks = tasks("segment = 1.0\nanswer = 1.0\nquestion = 0.0");
    let config = with_evidence(&masks).replacen("[optimiser]\n", rates, 1);
    check_resumption("evidence", &config);

    let parts = [LossPart::Evidence, LossPart::Criterion];
    let steps = |config: &str| -> Vec<[f32; 2]> {
        let dir = tempfile::tempdir().unwrap();
        let mut trainer = open_with(dir.path(), config).unwrap();
        let losses = (0..3).map(|_| trainer.step().unwrap().losses);
        losses
            .map(|losses| parts.map(|part| losses.part(part)))
            .collect()
    };
    let with_masks = steps(&config);
    let are_there = |losses: &[f32; 2]| losses.iter().all(|loss| *loss > 0.0);
    assert!(with_masks.iter().all(are_there), "{with_masks:?}");
    // Crops, whose text has no true places, have a mask all the same.
    let questions = "segment = 0.0\nanswer = 0.0\nquestion = 1.0";
    let questions = steps(&with_evidence(&tasks(questions)));
    assert!(questions.contains(&[0.0; 2]), "{questions:?}");

    let dir = tempfile::tempdir().unwrap();
    let vision = format!("stage = \"vision\"\n{}", with_evidence(CONFIG));
    let error = open_with(dir.path(), &vision).err().unwrap().to_string();
    assert!(error.contains("loss.evidence"), "{error}");
}

/// Without pictures only the language model and the parts of the evidence that it reads learn.
#[test]
fn the_language_stage_needs_no_pictures() {
    let losses = "text = 1.0\ncriterion = 0.5\nbce = 0.0\ndice = 0.0\npatch = 0.0\n";
    let language = CONFIG
        .replacen(
            "text = 1.0\nbce = 2.0\ndice = 0.5\npatch = 0.5\n",
            losses,
            1,
        )
        .replacen(
            "[tasks]\n",
            "[tasks]\nrenamed = 1.0\ninvented = 0.5\nplaces = 0.5\ncriteria = 0.5\n",
            1,
        );
    let evidence = "[model.evidence]\nd_hidden = 8\nplace = true\n";
    let config = format!("stage = \"language\"\n{language}\n{evidence}");
    check_resumption("language", &config);

    let dir = tempfile::tempdir().unwrap();
    let mut trainer = open_with(dir.path(), &config).unwrap();
    let (before, after) = (dir.path().join("before"), dir.path().join("after"));
    export(&trainer, &before);
    trainer.step().unwrap();
    export(&trainer, &after);
    for (name, learns) in [
        ("llm.layers.0.mlp.up_proj.weight", true),
        ("evidence.verdict", true),
        ("evidence.place.weight", true),
        ("evidence.fc1.weight", false),
        ("clip.embeddings.class_embedding", false),
        ("sam.image_encoder.pos_embed", false),
    ] {
        let is_changed = stored(&before, name) != stored(&after, name);
        assert_eq!(is_changed, learns, "{name}");
    }
    assert!(trainer.held_out(3).unwrap().is_empty());

    let masks = config.replacen("bce = 0.0", "bce = 1.0", 1);
    let other = tempfile::tempdir().unwrap();
    let error = open_with(other.path(), &masks).err().unwrap().to_string();
    assert!(error.contains("language"), "{error}");
}

#[test]
fn shares_and_matrices_that_are_none_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let data = |line: &str| CONFIG.replacen("[data]\n", &format!("[data]\n{line}\n"), 1);
    let muon = |pattern: &str, rate: f32| {
        let line = format!("muon = {{ matrices = [{pattern:?}], rate = {rate} }}");
        CONFIG.replacen("[optimiser]\n", &format!("[optimiser]\n{line}\n"), 1)
    };
    let rates = |rates: &str| {
        let line = format!("[optimiser]\nrate_factors = {{ {rates} }}\n");
        CONFIG.replacen("[optimiser]\n", &line, 1)
    };
    for (config, named) in [
        (data("crop = 0.0"), "data.crop"),
        (data("crop = nan"), "data.crop"),
        (data("defective = 1.5"), "data.defective"),
        (muon("llm.layers.*.mlp.*", 0.0), "muon.rate"),
        (muon("llm.*", 1.0), "no matrix"),
        (
            CONFIG.replacen("second_turn = 0.5", "second_turn = 1.5", 1),
            "tasks.second_turn",
        ),
        (rates("\"llm.*\" = 0.0"), "optimiser.rate_factors"),
        (
            rates("\"llm.*\" = 1.0, \"*.bias\" = 2.0, \"llm.norm.*\" = 1.0"),
            "llm.norm.weight",
        ),
    ] {
        let error = open_with(dir.path(), &config).err().unwrap().to_string();
        assert!(error.contains(named), "{named}: {error}");
    }
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut trainer = open(dir.path()).unwrap();
    trainer.step().unwrap();
    trainer.save().unwrap();
    drop(trainer);
    let weights = dir.path().join("run/checkpoint-a/weights.bpk");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let error = open(dir.path()).err().unwrap().to_string();
    assert!(error.contains("weights.bpk"), "{error}");
}
