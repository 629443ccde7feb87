//! Damaged and hostile packages: each gives the error that names what is wrong.

use crate::common::{Files, raw_shard, with_header, with_manifest, with_shard, write_package};
use half::f16;
use serde_json::{Value, json};
use vmad_package::{Manifest, PackageError as E, ShardReader};

fn package() -> (Manifest, Files) {
    write_package(1 << 20).unwrap()
}

/// The error of a manifest changed by `change`.
fn manifest_error(change: impl FnOnce(&mut Value)) -> E {
    with_manifest(&package().1, change).unwrap_err()
}

/// The error of a shard that was altered and hashed again.
fn shard_error(change: impl FnOnce(&[u8]) -> Vec<u8>) -> E {
    let (manifest, files) = package();
    let altered = change(&files[&manifest.shards()[0].file]);
    // A manifest that shrinks its shard is refused by itself already.
    let manifest = match with_shard(&files, &altered) {
        Ok(manifest) => manifest,
        Err(error) => return error,
    };
    ShardReader::verify_and_parse(&manifest, 0, &altered).unwrap_err()
}

/// The error of a shard whose header was altered.
fn header_error(change: impl FnOnce(&mut Value)) -> E {
    shard_error(|shard| with_header(shard, change))
}

/// Overwrites the start of an entry's data.
fn overwrite(shard: &[u8], entry: &str, with: &[u8]) -> Vec<u8> {
    let mut start = 0;
    let mut altered = with_header(shard, |json| {
        start = json[entry]["data_offsets"][0].as_u64().unwrap() as usize;
    });
    let header_length = u64::from_le_bytes(*altered.first_chunk().unwrap()) as usize;
    let start = 8 + header_length + start;
    altered[start..start + with.len()].copy_from_slice(with);
    altered
}

macro_rules! assert_error {
    ($error:expr, $pattern:pat $(if $guard:expr)?, $($text:literal),+) => {{
        let error = $error;
        assert!(matches!(&error, $pattern $(if $guard)?), "{error:?}");
        let message = error.to_string();
        $(assert!(message.contains($text), "{message:?} lacks {:?}", $text);)+
    }};
}

#[test]
fn damaged_files() {
    let (manifest, files) = package();
    let shard = &files[&manifest.shards()[0].file];
    let read =
        |index, bytes: &[u8]| ShardReader::verify_and_parse(&manifest, index, bytes).unwrap_err();
    assert_error!(
        read(0, &shard[..shard.len() - 1]),
        E::FileSize { .. },
        "weights-00001-of-00001.safetensors"
    );
    assert_error!(read(0, &[]), E::FileSize { actual: 0, .. }, "weights-00001");
    let mut flipped = shard.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert_error!(
        read(0, &flipped),
        E::FileHash { expected, actual, .. } if expected != actual,
        "weights-00001-of-00001.safetensors",
        "sha256"
    );
    assert_error!(
        read(7, shard),
        E::NoSuchShard {
            index: 7,
            n_shards: 1
        },
        "shard 7"
    );
    assert_error!(
        manifest.tokenizer().verify(b"[]").unwrap_err(),
        E::FileHash { .. },
        "tokenizer.json"
    );
}

#[test]
fn other_formats_and_versions() {
    assert_error!(
        manifest_error(|m| {
            // What version 2 looks like is not known, only that it says so.
            *m = json!({"format": "vmad-package", "version": 2});
        }),
        E::UnknownVersion {
            found: 2,
            supported: 1
        },
        "version 2",
        "version 1"
    );
    assert_error!(
        manifest_error(|m| m["version"] = json!(0)),
        E::UnknownVersion { found: 0, .. },
        "version 0"
    );
    assert_error!(
        manifest_error(|m| m["format"] = json!("gguf")),
        E::Format { .. },
        "gguf"
    );
    for version in [json!("1"), json!(1.5), json!(-1), Value::Null] {
        let error = manifest_error(|m| m["version"] = version.clone());
        assert!(matches!(error, E::ManifestJson(_)), "{version}: {error}");
    }
    for text in ["", "{", "[]", "null", "{}", "\u{0}"] {
        let error = Manifest::parse(text.as_bytes()).unwrap_err();
        assert!(matches!(error, E::ManifestJson(_)), "{text}: {error}");
    }
    assert_error!(
        Manifest::parse(&vec![b' '; (64 << 20) + 1]).unwrap_err(),
        E::ManifestTooLarge { .. },
        "67108865"
    );
}

#[test]
fn unknown_fields_are_left_to_newer_programs() {
    let (manifest, files) = package();
    let found = with_manifest(&files, |m| m["comment"] = json!("hello")).unwrap();
    assert_eq!(found, manifest);
}

#[test]
fn file_names_stay_in_the_folder() {
    for name in [
        "",
        ".",
        "..",
        "../weights",
        "a/b",
        "a\\b",
        "/etc/passwd",
        "C:weights",
        "https://example.com/x",
        "%2e%2e%2fx",
        "a..b",
        ".hidden",
        "a b",
        "a?b",
        "a#b",
        "a\u{0}b",
        "ä",
        &"a".repeat(129),
    ] {
        for path in ["/shards/0/file", "/tokenizer/file"] {
            let error = manifest_error(|m| *m.pointer_mut(path).unwrap() = json!(name));
            assert!(matches!(error, E::FileName { .. }), "{name:?}: {error}");
        }
    }
    for name in ["tokenizer.json", "Tokenizer.JSON", "model.json"] {
        assert_error!(
            manifest_error(|m| m["shards"][0]["file"] = json!(name)),
            E::DuplicateFile { .. },
            "twice"
        );
    }
}

#[test]
fn manifest_numbers_out_of_range() {
    assert_error!(
        manifest_error(|m| m["shards"][0]["bytes"] = json!((64u64 << 20) + 1)),
        E::Limit { .. },
        "weights-00001"
    );
    assert_error!(
        manifest_error(|m| m["tokenizer"]["bytes"] = json!(u64::MAX)),
        E::Limit { .. },
        "tokenizer.json"
    );
    assert_error!(
        manifest_error(|m| m["shards"][0]["bytes"] = json!(100)),
        E::ShardTooSmall { bytes: 100, .. },
        "weights-00001"
    );
    assert_error!(
        manifest_error(|m| m["shards"] = json!(vec![m["shards"][0].clone(); 4097])),
        E::Limit { found: 4097, .. },
        "shards"
    );
    assert_error!(
        manifest_error(|m| m["tensors"] = json!(vec![m["tensors"][0].clone(); 100_001])),
        E::Limit { found: 100_001, .. },
        "tensors"
    );
    assert_error!(
        manifest_error(|m| m["threshold"]["pixel"] = json!(1e300)),
        E::Threshold { field: "pixel", .. },
        "threshold.pixel"
    );
    for hash in ["", "00", "zz", &"A".repeat(64), &"é".repeat(32)] {
        let error = manifest_error(|m| m["shards"][0]["sha256"] = json!(hash));
        assert!(matches!(error, E::ManifestJson(_)), "{hash}: {error}");
    }
}

#[test]
fn manifest_tensors() {
    assert_error!(
        manifest_error(|m| m["tensors"][1]["name"] = m["tensors"][0]["name"].clone()),
        E::DuplicateTensor { .. },
        "clip.bias"
    );
    assert_error!(
        manifest_error(|m| m["tensors"][0]["name"] = json!("llm.proj.scales")),
        E::DuplicateTensor { .. },
        "llm.proj"
    );
    for name in ["", "a\nb", "__metadata__", &"a".repeat(513)] {
        let error = manifest_error(|m| m["tensors"][0]["name"] = json!(name));
        assert!(matches!(error, E::TensorName { .. }), "{name:?}: {error}");
    }
    for shard in [1, usize::MAX] {
        let error = manifest_error(|m| m["tensors"][0]["shard"] = json!(shard));
        assert!(matches!(error, E::ShardIndex { .. }), "{shard}: {error}");
    }
    for shape in [
        json!([0]),
        json!([usize::MAX]),
        json!([usize::MAX, 2]),
        json!([1usize << 32, 1usize << 32]),
        json!([usize::MAX, usize::MAX, usize::MAX]),
    ] {
        let error = manifest_error(|m| m["tensors"][0]["shape"] = shape.clone());
        assert!(matches!(error, E::TensorShape { .. }), "{shape}: {error}");
    }
    for shape in [json!([1, 1, 1, 1, 1, 1, 1, 1, 1]), json!([-1]), json!("x")] {
        let error = manifest_error(|m| m["tensors"][0]["shape"] = shape.clone());
        assert!(matches!(error, E::ManifestJson(_)), "{shape}: {error}");
    }
    // A bias in int4, and a shape that needs more bytes than the shard has.
    assert_error!(
        manifest_error(|m| m["tensors"][0]["storage"] = json!("int4")),
        E::TensorShape { .. },
        "clip.bias"
    );
    assert_error!(
        manifest_error(|m| m["tensors"][0]["shape"] = json!([1usize << 40])),
        E::ShardTooSmall { .. },
        "weights-00001"
    );
    assert_error!(
        manifest_error(|m| m["tensors"][0]["storage"] = json!("int2")),
        E::ManifestJson(_),
        "int2"
    );
    for rows in [0, 5, usize::MAX] {
        let error = manifest_error(|m| m["tensors"][0]["rows_per_shard"] = json!(rows));
        assert!(matches!(error, E::TensorShape { .. }), "{rows}: {error}");
    }
    assert_error!(
        manifest_error(|m| m["tensors"][0]["rows_per_shard"] = json!(4)),
        E::ShardIndex { shard: 1, .. },
        "clip.bias"
    );
}

#[test]
fn shard_headers_that_cannot_be_read() {
    let length = |shard: &[u8], length: u64| {
        let mut altered = shard.to_vec();
        altered[..8].copy_from_slice(&length.to_le_bytes());
        altered
    };
    for claimed in [u64::MAX, 1 << 63, (16 << 20) + 1] {
        assert_error!(
            shard_error(|s| length(s, claimed)),
            E::ShardHeader { .. },
            "weights-00001",
            "at most"
        );
    }
    assert_error!(
        shard_error(|s| length(s, 16 << 20)),
        E::ShardHeader { .. },
        "follow"
    );
    assert_error!(shard_error(|s| length(s, 0)), E::ShardHeader { .. }, "EOF");
    for header in ["[]", "{\"a", "null", "\u{0}", "{}{}"] {
        let error = shard_error(|s| raw_shard(header, s));
        assert!(matches!(error, E::ShardHeader { .. }), "{header}: {error}");
    }
}

#[test]
fn shard_entries_against_the_manifest() {
    assert_error!(
        header_error(|h| h["llm.proj.q4"]["dtype"] = json!("I32")),
        E::EntryDtype { .. },
        "weights-00001",
        "llm.proj",
        "\"I32\"",
        "\"U32\""
    );
    assert_error!(
        header_error(|h| h["clip.conv.q8"]["shape"] = json!([64, 3])),
        E::EntryShape { .. },
        "clip.conv",
        "[64, 3]",
        "[3, 64]"
    );
    assert_error!(
        header_error(|h| {
            h.as_object_mut().unwrap().remove("llm.proj.scales");
        }),
        E::MissingEntry { .. },
        "\"llm.proj.scales\"",
        "\"llm.proj\""
    );
    assert_error!(
        header_error(|h| h["extra"] = h["clip.bias"].clone()),
        E::UnexpectedEntry { .. },
        "weights-00001",
        "\"extra\""
    );
    assert_error!(
        header_error(|h| h["clip.bias"]["shape"] = json!([1, 1, 1, 1, 1, 1, 1, 1, 5])),
        E::ShardHeader { .. },
        "clip.bias"
    );
    assert_error!(
        shard_error(|s| with_header(s, |_| ()).replace_first("clip.pos", "clip.POS")),
        E::UnexpectedEntry { .. },
        "clip.POS"
    );
    assert_error!(
        shard_error(|s| {
            let one = r#""clip.bias":{"dtype":"F32","shape":[5],"data_offsets":[0,20]}"#;
            raw_shard(&format!("{{{one},{one}}}"), s)
        }),
        E::DuplicateEntry { .. },
        "clip.bias"
    );
}

trait ReplaceFirst {
    fn replace_first(self, from: &str, to: &str) -> Self;
}

impl ReplaceFirst for Vec<u8> {
    fn replace_first(mut self, from: &str, to: &str) -> Self {
        let at = self
            .windows(from.len())
            .position(|window| window == from.as_bytes())
            .unwrap();
        self[at..at + from.len()].copy_from_slice(to.as_bytes());
        self
    }
}

#[test]
fn shard_offsets() {
    for offsets in [
        json!([4, 24]),
        json!([20, 0]),
        json!([0, 21]),
        json!([0, u64::MAX]),
        json!([u64::MAX - 20, u64::MAX]),
    ] {
        // Whichever entry lies there next to it may be named, but always one.
        let error = header_error(|h| h["clip.bias"]["data_offsets"] = offsets.clone());
        assert!(
            matches!(error, E::EntryOffsets { .. }),
            "{offsets}: {error}"
        );
    }
    for offsets in [
        json!([0]),
        json!([-1, 19]),
        json!([0, 1, 2]),
        json!(["0", "20"]),
    ] {
        let error = header_error(|h| h["clip.bias"]["data_offsets"] = offsets.clone());
        assert!(matches!(error, E::ShardHeader { .. }), "{offsets}: {error}");
    }
    // Two entries over the same bytes.
    let error = header_error(|h| {
        h["llm.proj.scales"]["data_offsets"] = h["clip.pos"]["data_offsets"].clone();
    });
    assert!(matches!(error, E::EntryOffsets { .. }), "{error}");
    assert_error!(
        shard_error(|s| [s, &[0; 4]].concat()),
        E::ShardData { .. },
        "weights-00001"
    );
}

#[test]
fn shard_values() {
    let nan = f16::NAN.to_le_bytes();
    assert_error!(
        shard_error(|s| overwrite(s, "llm.proj.scales", &nan)),
        E::Quantised { .. },
        "weights-00001",
        "llm.proj",
        "scale",
        "NaN"
    );
    assert_error!(
        shard_error(|s| overwrite(s, "clip.conv.scales", &f16::INFINITY.to_le_bytes())),
        E::Quantised { .. },
        "clip.conv"
    );
    assert_error!(
        shard_error(|s| overwrite(s, "llm.proj.q4", &[0x0f])),
        E::Quantised { .. },
        "llm.proj",
        "-8"
    );
    assert_error!(
        shard_error(|s| overwrite(s, "clip.conv.q8", &[0x80])),
        E::Quantised { .. },
        "clip.conv",
        "-128"
    );
    assert_error!(
        shard_error(|s| overwrite(s, "clip.conv.q8", &[[0; 63].as_slice(), &[1]].concat())),
        E::Quantised { .. },
        "clip.conv",
        "padding"
    );
    assert_error!(
        shard_error(|s| overwrite(s, "clip.bias", &f32::NAN.to_le_bytes())),
        E::NonFinite { index: 0, .. },
        "clip.bias"
    );
    assert_error!(
        shard_error(|s| overwrite(s, "clip.pos", &[[0; 2], nan].concat())),
        E::NonFinite { index: 1, .. },
        "clip.pos"
    );
}

#[test]
fn long_names_are_shortened_in_messages() {
    let error = header_error(|h| h[&"x".repeat(10_000)] = json!(1));
    assert!(matches!(error, E::UnexpectedEntry { .. }), "{error:?}");
    assert!(error.to_string().len() < 400);
}
