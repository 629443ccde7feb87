//! Seeded mutations of a good manifest and a good shard. Nothing may panic, and
//! what is accepted must be readable. The hash is left out on purpose: behind
//! it these bytes would never be reached.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::{
    Conversation, Manifest, PackageMeta, PackageWriter, ShardReader, Storage, Templates, Threshold,
};

const ROUNDS: usize = 6000;

fn package() -> (Vec<u8>, Vec<u8>) {
    let meta = PackageMeta {
        name: "fuzz".into(),
        description: String::new(),
        license: "MIT".into(),
        provenance: BTreeMap::new(),
        config: serde_json::json!({"a": [1, 2.5, null, {"b": "c"}]}),
        conversation: Conversation::vicuna_v1(),
        templates: Templates::paper(),
        threshold: Threshold {
            image: 0.5,
            pixel: 0.5,
            temperature: 1.0,
            source: String::new(),
        },
    };
    let mut writer = PackageWriter::new(meta, b"{}".to_vec(), 1 << 20).unwrap();
    for (name, storage) in [
        ("a", Storage::F32),
        ("b", Storage::F16),
        ("c", Storage::Int8),
        ("d", Storage::Int4),
    ] {
        let values: Vec<f32> = (0..3 * 40).map(|i| i as f32 / 7.0).collect();
        writer.add(name, &[3, 5, 8], &values, storage).unwrap();
    }
    let mut files = BTreeMap::new();
    let manifest = writer
        .finish(&mut |file, bytes| {
            files.insert(file.to_owned(), bytes.to_vec());
            Ok(())
        })
        .unwrap();
    let shard = files.remove(&manifest.shards()[0].file).unwrap();
    (files.remove("model.json").unwrap(), shard)
}

/// Text that is more likely than noise to get past the JSON reader.
const SNIPPETS: &[&str] = &[
    "0",
    "1",
    "2",
    "9",
    "-1",
    "1e99",
    "18446744073709551615",
    "4294967296",
    "null",
    "true",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\\u0000",
    "F32",
    "U32",
    "I8",
    "int4",
    "int8",
    "f32",
    ".q4",
    ".scales",
    "../",
    "__metadata__",
    "\"rows_per_shard\":1,",
];

fn mutate(rng: &mut StdRng, bytes: &mut Vec<u8>, focus: usize) {
    for _ in 0..rng.random_range(1..4) {
        let focus = focus.min(bytes.len());
        let at = rng.random_range(0..=focus);
        match rng.random_range(0..7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = rng.random(),
            2 => bytes.truncate(at),
            3 => {
                let end = (at + rng.random_range(0..24)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let end = (at + rng.random_range(0..48)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            5 => {
                // In place of digits, so that numbers change but the JSON holds.
                let digits = |b: &u8| b.is_ascii_digit();
                let start = at + bytes[at..].iter().position(digits).unwrap_or(0);
                let len = bytes[start..].iter().take_while(|b| digits(b)).count();
                let number = SNIPPETS[rng.random_range(0..8)];
                bytes.splice(start..start + len, number.bytes());
            }
            _ => {
                let snippet = SNIPPETS[rng.random_range(0..SNIPPETS.len())];
                bytes.splice(at..at, snippet.bytes());
            }
        }
    }
}

#[test]
fn mutated_manifests() {
    let mut rng = StdRng::seed_from_u64(11);
    let (json, shard) = package();
    let mut n_accepted = 0;
    for _ in 0..ROUNDS {
        let mut mutated = json.clone();
        mutate(&mut rng, &mut mutated, json.len());
        let Ok(manifest) = Manifest::parse(&mutated) else {
            continue;
        };
        n_accepted += 1;
        for index in 0..manifest.shards().len() {
            let reader = ShardReader::new(&manifest, index).unwrap();
            for tensor in reader.parse(&shard).into_iter().flatten() {
                tensor.to_f32().unwrap();
            }
        }
    }
    // Otherwise the mutations never reach what lies behind the JSON reader.
    assert!(
        n_accepted > ROUNDS / 50,
        "{n_accepted} of {ROUNDS} accepted"
    );
}

#[test]
fn mutated_shards() {
    let mut rng = StdRng::seed_from_u64(12);
    let (json, shard) = package();
    let manifest = Manifest::parse(&json).unwrap();
    let reader = ShardReader::new(&manifest, 0).unwrap();
    let header_end = 8 + u64::from_le_bytes(*shard.first_chunk().unwrap()) as usize;
    let (mut n_accepted, mut n_behind_json) = (0, 0);
    for round in 0..ROUNDS {
        let mut mutated = shard.clone();
        let focus = if round % 4 == 0 {
            shard.len()
        } else {
            header_end
        };
        mutate(&mut rng, &mut mutated, focus);
        if round % 2 == 0 && mutated.len() >= 8 {
            // Keep the length field honest for the header's changed size.
            let length = (header_end + mutated.len()).saturating_sub(shard.len() + 8) as u64;
            mutated[..8].copy_from_slice(&length.to_le_bytes());
        }
        match reader.parse(&mutated) {
            Ok(tensors) => {
                n_accepted += 1;
                for tensor in tensors {
                    assert!(tensor.to_f32().unwrap().iter().all(|v| v.is_finite()));
                }
            }
            Err(crate::PackageError::ShardHeader { .. }) => {}
            Err(_) => n_behind_json += 1,
        }
    }
    assert!(
        n_accepted > 0 && n_behind_json > ROUNDS / 50,
        "{n_accepted}, {n_behind_json}"
    );
}
