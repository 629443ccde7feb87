//! Reading safetensors: types, shards, reshaping, and damaged files.

mod common;

use std::fs;

use common::{State, TestResult, write};
use safetensors::tensor::Dtype;
use vmad_convert::{Checkpoint, ConvertError, Layout, Tensor, for_each_package_tensor};

fn two_tensors() -> State {
    State::from([
        ("a".into(), (vec![2, 2], vec![0.5, -1.5, 2.0, 0.0])),
        ("b".into(), (vec![3], vec![1.0, 2.0, 4.0])),
    ])
}

/// Writes tensors a and b as two shards with an index, and returns the folder.
fn sharded(second_shard: &str) -> Result<tempfile::TempDir, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    for (name, tensor) in two_tensors() {
        let path = folder.path().join(format!("{name}.safetensors"));
        write(&path, &State::from([(name, tensor)]), Dtype::F32)?;
    }
    let index = serde_json::json!({
        "metadata": { "total_size": 28 },
        "weight_map": { "a": "a.safetensors", "b": second_shard },
    });
    fs::write(
        folder.path().join("model.safetensors.index.json"),
        index.to_string(),
    )?;
    Ok(folder)
}

fn read_all(checkpoint: &Checkpoint) -> Result<State, ConvertError> {
    checkpoint
        .tensors()
        .map(|tensor| tensor.map(|t| (t.name, (t.shape, t.values))))
        .collect()
}

#[test]
fn floats_of_every_width() -> TestResult {
    let folder = tempfile::tempdir()?;
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        let path = folder.path().join("m.safetensors");
        write(&path, &two_tensors(), dtype)?;
        let checkpoint = Checkpoint::open(&path)?;
        assert_eq!(checkpoint.shape("b"), Some(&[3][..]));
        assert_eq!(read_all(&checkpoint)?, two_tensors(), "{dtype:?}");
    }
    assert_eq!(read_all(&Checkpoint::open(folder.path())?)?, two_tensors());
    Ok(())
}

#[test]
fn other_types_are_named() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("m.safetensors");
    write(&path, &two_tensors(), Dtype::I32)?;
    let checkpoint = Checkpoint::open(&path)?;
    assert!(matches!(
        checkpoint.read("a"),
        Err(ConvertError::Dtype { dtype, .. }) if dtype == "I32"
    ));
    assert!(matches!(
        checkpoint.read("c"),
        Err(ConvertError::NoTensor(_))
    ));
    Ok(())
}

#[test]
fn shards_are_one_checkpoint() -> TestResult {
    let folder = sharded("b.safetensors")?;
    assert_eq!(read_all(&Checkpoint::open(folder.path())?)?, two_tensors());
    Ok(())
}

#[test]
fn a_bad_index_is_refused() -> TestResult {
    let open = |second: &str| -> Result<Option<ConvertError>, Box<dyn std::error::Error>> {
        Ok(Checkpoint::open(sharded(second)?.path()).err())
    };
    assert!(matches!(
        open("a.safetensors")?,
        Some(ConvertError::MissingInShard { tensor, .. }) if tensor == "b"
    ));
    assert!(matches!(
        open("none.safetensors")?,
        Some(ConvertError::Io { .. })
    ));
    for outside in [
        "../b.safetensors",
        "/b.safetensors",
        "sub/b.safetensors",
        "",
    ] {
        assert!(
            matches!(open(outside)?, Some(ConvertError::BadIndex { .. })),
            "{outside}"
        );
    }
    assert!(matches!(open("b.bin")?, Some(ConvertError::Pickle(_))));
    Ok(())
}

#[test]
fn damaged_files_are_refused() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("m.safetensors");
    write(&path, &two_tensors(), Dtype::F32)?;
    let good = fs::read(&path)?;
    let mut longer_header = good.clone();
    longer_header[6] = 1;
    let mut broken_json = good.clone();
    broken_json[8] = b'[';
    let damaged: [&[u8]; 6] = [
        b"",
        &good[..7],
        &good[..20],
        &good[..good.len() - 1],
        &longer_header,
        &broken_json,
    ];
    for bytes in damaged {
        fs::write(&path, bytes)?;
        let error = Checkpoint::open(&path).err();
        assert!(
            matches!(error, Some(ConvertError::Damaged { .. })),
            "{} bytes: {error:?}",
            bytes.len()
        );
    }
    Ok(())
}

#[test]
fn pickles_and_strangers_are_refused() -> TestResult {
    let folder = tempfile::tempdir()?;
    assert!(matches!(
        Checkpoint::open(folder.path()),
        Err(ConvertError::NoCheckpoint(_))
    ));
    let pickle = folder.path().join("pytorch_model.bin");
    fs::write(&pickle, b"PK")?;
    for path in [pickle.as_path(), folder.path()] {
        let error = Checkpoint::open(path).err();
        assert!(matches!(error, Some(ConvertError::Pickle(_))), "{error:?}");
    }
    let text = folder.path().join("notes.txt");
    fs::write(&text, b"hello")?;
    assert!(matches!(
        Checkpoint::open(&text),
        Err(ConvertError::UnknownFile(_))
    ));
    assert!(matches!(
        Checkpoint::open(folder.path().join("nowhere")),
        Err(ConvertError::Io { .. })
    ));
    Ok(())
}

fn converted(layout: Layout, state: State) -> Result<Vec<Tensor>, Box<dyn std::error::Error>> {
    converted_with(layout, state, None)
}

fn converted_with(
    layout: Layout,
    state: State,
    alpha: Option<f64>,
) -> Result<Vec<Tensor>, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("m.safetensors");
    write(&path, &state, Dtype::F32)?;
    let mut tensors = Vec::new();
    for_each_package_tensor(&Checkpoint::open(&path)?, layout, alpha, |tensor| {
        tensors.push(tensor);
        Ok::<(), ConvertError>(())
    })?;
    Ok(tensors)
}

fn ramp(n: usize) -> Vec<f32> {
    (0..n).map(|i| i as f32).collect()
}

#[test]
fn openai_attention_is_split() -> TestResult {
    let source = "visual.transformer.resblocks.0.attn.in_proj_weight";
    let tensors = converted(
        Layout::OpenAiClip,
        State::from([(source.into(), (vec![6, 2], ramp(12)))]),
    )?;
    let names: Vec<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(
        names,
        ["q", "k", "v"].map(|p| format!("clip.encoder.layers.0.self_attn.{p}_proj.weight"))
    );
    for (tensor, expected) in tensors.iter().zip(ramp(12).chunks(4)) {
        assert_eq!(
            (&tensor.shape[..], &tensor.values[..]),
            (&[2, 2][..], expected)
        );
    }
    let odd = converted(
        Layout::OpenAiClip,
        State::from([(source.into(), (vec![4, 2], ramp(8)))]),
    );
    assert!(odd.is_err_and(|e| e.to_string().contains("in_proj_weight")));
    Ok(())
}

#[test]
fn honeybee_positions_lose_the_class_token() -> TestResult {
    for (shape, skipped) in [(vec![1, 5, 3], 3), (vec![1, 4, 3], 0), (vec![5, 3], 3)] {
        let n = shape.iter().product();
        let tensors = converted(
            Layout::Honeybee,
            State::from([("abstractor.pos_emb".into(), (shape, ramp(n)))]),
        )?;
        assert_eq!(tensors[0].shape, [4, 3]);
        assert_eq!(tensors[0].values, ramp(n)[skipped..]);
    }
    let state = State::from([("abstractor.pos_emb".into(), (vec![1, 7, 3], ramp(21)))]);
    assert!(converted(Layout::Honeybee, state).is_err());
    Ok(())
}

/// A 3×2 matrix with factors of rank 2.
fn unmerged(base: &str, factors: [&str; 2]) -> State {
    let stem = "base_model.model.model.layers.0.self_attn.q_proj";
    let [a, b] = factors;
    State::from([
        (format!("{stem}.{base}"), (vec![3, 2], ramp(6))),
        (
            format!("{stem}.{a}"),
            (vec![2, 2], vec![1.0, 2.0, 3.0, 4.0]),
        ),
        (
            format!("{stem}.{b}"),
            (vec![3, 2], vec![1.0, 0.0, 0.0, 1.0, 1.0, -1.0]),
        ),
    ])
}

#[test]
fn factors_are_merged_with_the_scale_that_is_given() -> TestResult {
    let dump = ["lora_A.default.weight", "lora_B.default.weight"];
    let adapter = ["lora_A.weight", "lora_B.weight"];
    for (base, factors) in [
        ("weight", dump),
        ("base_layer.weight", dump),
        ("weight", adapter),
    ] {
        let tensors = converted_with(Layout::HfLlama, unmerged(base, factors), Some(6.0))?;
        assert_eq!(tensors.len(), 1);
        assert_eq!(tensors[0].name, "llm.layers.0.self_attn.q_proj.weight");
        // W + 6/2 · B·A, B·A = [1 2; 3 4; -2 -2].
        assert_eq!(tensors[0].values, [3.0, 7.0, 11.0, 15.0, -2.0, -1.0]);
    }
    Ok(())
}

#[test]
fn factors_are_never_dropped() {
    fn check(change: impl FnOnce(&mut State), alpha: Option<f64>, named: &str) {
        let mut state = unmerged("weight", ["lora_A.default.weight", "lora_B.default.weight"]);
        change(&mut state);
        let error = converted_with(Layout::HfLlama, state, alpha);
        let error = error.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains(named), "{named}: {error}");
    }
    check(|_| (), None, "Give LoRA's alpha");
    let without =
        |part: &'static str| move |state: &mut State| state.retain(|name, _| !name.contains(part));
    check(without("lora_A"), Some(16.0), "lora_A and .lora_B");
    check(without("lora_B"), Some(16.0), "lora_A and .lora_B");
    check(
        without("q_proj.weight"),
        Some(16.0),
        "no tensor base_model.model.model.layers.0.self_attn.q_proj.weight",
    );
    let narrow = |state: &mut State| {
        for (_, tensor) in state.iter_mut().filter(|(name, _)| name.contains("lora_A")) {
            *tensor = (vec![2, 1], vec![1.0, 2.0]);
        }
    };
    check(narrow, Some(16.0), "LoRA's factors should be");
}
