//! A small package in memory, and tools to damage it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vmad_package::{
    Conversation, Joiner, Manifest, PackageError, PackageMeta, PackageWriter, Sha256, ShardReader,
    ShardTensor, Storage, Templates, Threshold,
};

pub type Files = BTreeMap<String, Vec<u8>>;

pub fn meta() -> PackageMeta {
    PackageMeta {
        name: "test".into(),
        description: "A package for tests.".into(),
        license: "MIT OR Apache-2.0".into(),
        provenance: BTreeMap::from([("seed".into(), "1".into())]),
        config: json!({"llm": {"d_model": 48}}),
        conversation: Conversation::vicuna_v1(),
        templates: Templates::paper(),
        threshold: Threshold {
            image: 0.5,
            pixel: 0.4,
            temperature: 1.5,
            source: "none".into(),
        },
    }
}

/// Name, shape, storage. Columns are not whole blocks on purpose.
pub const TENSORS: &[(&str, &[usize], Storage)] = &[
    ("sam.scalar", &[], Storage::F32),
    ("clip.bias", &[5], Storage::F32),
    ("clip.conv", &[3, 2, 5, 5], Storage::Int8),
    ("clip.pos", &[1, 7, 3], Storage::F16),
    ("llm.embed", &[9, 48], Storage::Int8),
    ("llm.proj", &[6, 70], Storage::Int4),
    ("llm.norm", &[33], Storage::F16),
];

pub fn values(shape: &[usize]) -> Vec<f32> {
    let len: usize = shape.iter().product();
    (0..len)
        .map(|i| ((i * 37 % 101) as f32 - 50.0) / 64.0)
        .collect()
}

pub fn write_package(limit: u64) -> Result<(Manifest, Files), PackageError> {
    let mut writer = PackageWriter::new(meta(), b"{}".to_vec(), limit)?;
    for (name, shape, storage) in TENSORS {
        writer.add(name, shape, &values(shape), *storage)?;
    }
    finish(writer)
}

pub fn finish(writer: PackageWriter) -> Result<(Manifest, Files), PackageError> {
    let mut files = Files::new();
    let manifest = writer.finish(&mut |file, bytes| {
        assert!(!files.contains_key("model.json"), "model.json comes last");
        files.insert(file.to_owned(), bytes.to_vec());
        Ok(())
    })?;
    Ok((manifest, files))
}

pub fn read_package(
    manifest: &Manifest,
    files: &Files,
) -> Result<Vec<ShardTensor<'static>>, PackageError> {
    let mut joiner = Joiner::default();
    let mut tensors = Vec::new();
    for (index, shard) in manifest.shards().iter().enumerate() {
        let bytes = &files[&shard.file];
        for piece in ShardReader::verify_and_parse(manifest, index, bytes)? {
            tensors.extend(joiner.push(piece)?.map(ShardTensor::into_owned));
        }
    }
    joiner.finish()?;
    Ok(tensors)
}

/// The manifest as JSON, changed by `change`, and parsed again.
pub fn with_manifest(
    files: &Files,
    change: impl FnOnce(&mut Value),
) -> Result<Manifest, PackageError> {
    let mut json: Value = serde_json::from_slice(&files["model.json"])?;
    change(&mut json);
    Manifest::parse(&serde_json::to_vec(&json)?)
}

/// A manifest whose first shard is `content`, honestly hashed.
pub fn with_shard(files: &Files, content: &[u8]) -> Result<Manifest, PackageError> {
    with_manifest(files, |json| {
        json["shards"][0]["bytes"] = json!(content.len());
        json["shards"][0]["sha256"] = json!(Sha256::of(content).to_string());
    })
}

/// Rewrites the header of a safetensors file.
pub fn with_header(shard: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let (length, rest) = shard.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut json: Value = serde_json::from_slice(header).unwrap();
    change(&mut json);
    raw_shard(&json.to_string(), data)
}

pub fn raw_shard(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u64).to_le_bytes();
    [&length, header.as_bytes(), data].concat()
}
