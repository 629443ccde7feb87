//! Opening of valid and damaged packages.

use std::cell::RefCell;

use futures::future::LocalBoxFuture;
use serde_json::{Value, json};
use vmad_model::ModelError;
use vmad_package::{PackageError, Sha256};

use super::*;
use crate::SourceError;

/// Records which files are read.
struct RecordingSource {
    inner: MemorySource,
    read: RefCell<Vec<String>>,
}

impl ByteSource for RecordingSource {
    fn read<'a>(
        &'a self,
        path: &'a str,
        max_bytes: u64,
        on_bytes: &'a mut dyn FnMut(u64),
    ) -> LocalBoxFuture<'a, Result<Vec<u8>, SourceError>> {
        self.read.borrow_mut().push(path.to_owned());
        self.inner.read(path, max_bytes, on_bytes)
    }
}

fn file(source: &MemorySource, path: &str) -> Vec<u8> {
    let content = source.files().find(|(name, _)| *name == path);
    content.map(|(_, bytes)| bytes.to_vec()).unwrap_or_default()
}

fn with_manifest(change: impl FnOnce(&mut Value)) -> Result<MemorySource, EngineError> {
    let mut source = source()?;
    let json = file(&source, "model.json");
    let mut json: Value = serde_json::from_slice(&json).map_err(EngineError::ConfigJson)?;
    change(&mut json);
    source.insert("model.json", json.to_string().into_bytes());
    Ok(source)
}

fn failure(source: MemorySource) -> (Option<EngineError>, Vec<String>) {
    let recording = RecordingSource {
        inner: source,
        read: RefCell::default(),
    };
    let error = open_from(&recording).err();
    (error, recording.read.into_inner())
}

#[test]
fn damaged_packages_are_named() -> Outcome {
    let complete = source()?;
    let shards: Vec<String> = complete
        .files()
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.ends_with(".safetensors"))
        .collect();
    assert!(shards.len() > 3, "{shards:?}");
    let second = &shards[1];

    let mut missing = complete.clone();
    missing.remove(second);
    let (error, _) = failure(missing);
    assert!(matches!(
        error,
        Some(EngineError::Source(SourceError::NotFound { path })) if path == *second
    ));

    let mut altered = complete.clone();
    let mut bytes = file(&complete, second);
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    altered.insert(second.clone(), bytes.clone());
    let (error, read) = failure(altered);
    assert!(matches!(
        error,
        Some(EngineError::Package(PackageError::FileHash { file, .. })) if file == *second
    ));
    assert!(!read.contains(&shards[2]), "no later shard is fetched");

    let mut truncated = complete.clone();
    truncated.insert(second.clone(), bytes[..100].to_vec());
    assert!(matches!(
        failure(truncated).0,
        Some(EngineError::Package(PackageError::FileSize { .. }))
    ));

    let mut longer = complete.clone();
    bytes.push(0);
    longer.insert(second.clone(), bytes);
    assert!(matches!(
        failure(longer).0,
        Some(EngineError::Source(SourceError::TooLarge { .. }))
    ));

    let (error, read) = failure(with_manifest(|json| json["version"] = json!(2))?);
    assert_eq!(error.map(|error| error.code()), Some("package-version"));
    assert_eq!(read, ["model.json"]);
    assert_eq!(
        failure(MemorySource::default()).0.map(|error| error.code()),
        Some("package-missing")
    );
    Ok(())
}

#[test]
fn configurations_are_checked_before_weights_are_fetched() -> Outcome {
    type Change = fn(&mut Value);
    type Check = fn(&EngineError) -> bool;
    let cases: [(Change, Check); 5] = [
        (
            |json| json["config"]["llm"]["n_layers"] = json!(3),
            |error| {
                matches!(
                    error,
                    EngineError::Model(ModelError::Missing { name, .. })
                        if name.starts_with("llm.layers.2")
                )
            },
        ),
        (
            |json| json["config"]["llm"]["d_ff"] = json!(47),
            |error| matches!(error, EngineError::Model(ModelError::Shape { .. })),
        ),
        (
            |json| json["config"]["llm"]["n_heads"] = json!(0),
            |error| matches!(error, EngineError::Model(ModelError::Config(_))),
        ),
        (
            |json| json["config"]["llm"]["colour"] = json!(1),
            |error| matches!(error, EngineError::ConfigJson(_)),
        ),
        (
            |json| json["templates"]["segment"] = json!("Is it broken?"),
            |error| {
                matches!(
                    error,
                    EngineError::Package(PackageError::TemplateSlot { .. })
                )
            },
        ),
    ];
    for (change, check) in cases {
        let (error, read) = failure(with_manifest(change)?);
        assert!(error.as_ref().is_some_and(check), "{error:?}");
        assert_eq!(read, ["model.json"], "{error:?}");
    }
    Ok(())
}

#[test]
fn opening_reports_progress_and_can_be_cancelled() -> Outcome {
    let source = source()?;
    let total: u64 = source
        .files()
        .filter(|(name, _)| *name != "model.json")
        .map(|(_, bytes)| bytes.len() as u64)
        .sum();
    let mut received = Vec::new();
    let host = Rc::new(SystemHost::new());
    let cancel = CancelToken::new();
    let progress = &mut |progress: crate::Progress| received.push(progress);
    let engine = block_on(Engine::open(
        &source,
        SelectedDevice::cpu(),
        host.clone(),
        progress,
        &cancel,
    ))?;
    assert_eq!(engine.manifest().meta.name, "nano");
    let weights: Vec<_> = received
        .iter()
        .filter(|p| p.stage == Stage::Weights)
        .collect();
    assert!(weights.is_sorted_by_key(|p| p.done));
    assert_eq!(
        weights.last().map(|p| (p.done, p.total)),
        Some((total, total))
    );

    let canceller = cancel.clone();
    let progress = &mut |progress: crate::Progress| {
        if progress.stage == Stage::Weights {
            canceller.cancel();
        }
    };
    let error = block_on(Engine::open(
        &source,
        SelectedDevice::cpu(),
        host,
        progress,
        &cancel,
    ))
    .err();
    assert!(matches!(error, Some(EngineError::Cancelled)));
    Ok(())
}

#[test]
fn tensors_that_the_device_cannot_hold_are_rejected() -> Outcome {
    let mut small = SelectedDevice::cpu();
    small.max_buffer_bytes = Some(1000);
    let host = Rc::new(SystemHost::new());
    let cancel = CancelToken::new();
    let error = block_on(Engine::open(&source()?, small, host, &mut |_| (), &cancel)).err();
    assert!(matches!(
        error,
        Some(EngineError::TensorTooLarge { limit: 1000, .. })
    ));
    Ok(())
}

#[test]
fn the_nano_package_is_small_and_deterministic() -> Outcome {
    let bytes = |source: &MemorySource| {
        let files = source
            .files()
            .map(|(name, bytes)| (name.to_owned(), Sha256::of(bytes)));
        files.collect::<Vec<_>>()
    };
    let source = nano::package(1, 64 << 20)?;
    assert_eq!(bytes(&source), bytes(&nano::package(1, 64 << 20)?));
    assert_ne!(bytes(&source), bytes(&nano::package(2, 64 << 20)?));
    let total: usize = source.files().map(|(_, bytes)| bytes.len()).sum();
    assert!(total < 1_000_000, "{total}");
    let manifest = String::from_utf8_lossy(&file(&source, "model.json")).into_owned();
    for storage in ["f32", "f16", "int8", "int4"] {
        assert!(manifest.contains(&format!("\"{storage}\"")), "{storage}");
    }
    Ok(())
}

#[test]
fn a_folder_is_a_source() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("vmad-engine-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    for (name, bytes) in source()?.files() {
        std::fs::write(folder.join(name), bytes)?;
    }
    let engine = open_from(&crate::FolderSource::new(&folder));
    let missing = block_on(crate::FolderSource::new(&folder).read("nothing", 9, &mut |_| ()));
    let large = block_on(crate::FolderSource::new(&folder).read("model.json", 9, &mut |_| ()));
    std::fs::remove_dir_all(&folder)?;
    engine?;
    assert!(matches!(missing, Err(SourceError::NotFound { .. })));
    assert!(matches!(large, Err(SourceError::TooLarge { .. })));
    Ok(())
}
