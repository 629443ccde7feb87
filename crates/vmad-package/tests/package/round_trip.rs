//! What the writer writes, the reader reads, and so does the safetensors crate.

use std::borrow::Cow;

use crate::common::{TENSORS, finish, meta, read_package, values, write_package};
use half::f16;
use safetensors::{Dtype, SafeTensors};
use vmad_package::{
    Joiner, Manifest, PackageError, PackageWriter, ShardReader, Storage, TensorData,
};
use vmad_quant::{quantize_q4, quantize_q8};

#[test]
fn every_storage_comes_back() {
    // One shard, a few, and limits at which tensors have to be split.
    for limit in [1 << 20, 2000, 700, 500] {
        let (manifest, files) = write_package(limit).unwrap();
        assert_eq!(Manifest::parse(&files["model.json"]).unwrap(), manifest);
        assert_eq!(manifest.meta, meta());
        manifest
            .tokenizer()
            .verify(&files["tokenizer.json"])
            .unwrap();
        let tensors = read_package(&manifest, &files).unwrap();
        assert_eq!(tensors.len(), TENSORS.len());
        for (name, shape, storage) in TENSORS {
            let tensor = tensors.iter().find(|t| t.name == *name).unwrap();
            let x = values(shape);
            let (rows, cols) = (tensor.n_rows(), tensor.n_cols());
            let expected = match storage {
                Storage::F32 => x,
                Storage::F16 => x.iter().map(|v| f16::from_f32(*v).to_f32()).collect(),
                Storage::Int8 => quantize_q8(&x, rows, cols).unwrap().dequantize(),
                Storage::Int4 => quantize_q4(&x, rows, cols).unwrap().dequantize(),
            };
            assert_eq!(tensor.shape, *shape, "{name} at limit {limit}");
            assert_eq!(tensor.data.storage(), *storage);
            assert_eq!(
                tensor.to_f32().unwrap(),
                expected,
                "{name} at limit {limit}"
            );
        }
    }
}

#[test]
fn shards_respect_the_limit_and_split_what_is_larger() {
    for (limit, expect_split) in [(1u64 << 20, false), (2000, false), (500, true)] {
        let (manifest, files) = write_package(limit).unwrap();
        for shard in manifest.shards() {
            assert_eq!(files[&shard.file].len() as u64, shard.bytes);
            assert!(
                shard.bytes <= limit,
                "{} is {} bytes",
                shard.file,
                shard.bytes
            );
        }
        let split = manifest
            .tensors()
            .iter()
            .any(|t| t.rows_per_shard.is_some());
        assert_eq!(split, expect_split, "limit {limit}");
    }
    let (manifest, _) = write_package(1 << 20).unwrap();
    assert_eq!(
        manifest.shards()[0].file,
        "weights-00001-of-00001.safetensors"
    );
    assert!(matches!(
        write_package(200),
        Err(PackageError::RowTooLarge { .. })
    ));
    assert!(matches!(
        write_package((64 << 20) + 1),
        Err(PackageError::Limit { .. })
    ));
}

#[test]
fn bytes_do_not_depend_on_the_order_of_adding() {
    let (_, files) = write_package(700).unwrap();
    let mut writer = PackageWriter::new(meta(), b"{}".to_vec(), 700).unwrap();
    for (name, shape, storage) in TENSORS.iter().rev() {
        writer.add(name, shape, &values(shape), *storage).unwrap();
    }
    assert_eq!(finish(writer).unwrap().1, files);
}

#[test]
fn other_tools_can_open_the_shards() {
    let (_, files) = write_package(1 << 20).unwrap();
    let shard = SafeTensors::deserialize(&files["weights-00001-of-00001.safetensors"]).unwrap();
    for (name, dtype, shape) in [
        ("sam.scalar", Dtype::F32, vec![]),
        ("clip.conv.q8", Dtype::I8, vec![3, 64]),
        ("clip.conv.scales", Dtype::F16, vec![3, 2]),
        ("clip.pos", Dtype::F16, vec![1, 7, 3]),
        ("llm.proj.q4", Dtype::U32, vec![6, 12]),
        ("llm.proj.scales", Dtype::F16, vec![6, 3]),
    ] {
        let view = shard.tensor(name).unwrap();
        assert_eq!((view.dtype(), view.shape()), (dtype, &shape[..]), "{name}");
    }
}

#[test]
fn unaligned_bytes_are_copied_and_aligned_ones_borrowed() {
    let (manifest, files) = write_package(1 << 20).unwrap();
    let shard = &files[&manifest.shards()[0].file];
    let mut results = Vec::new();
    for offset in 0..4 {
        // A buffer of words gives a known alignment.
        let mut words = vec![0u32; shard.len() / 4 + 2];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        bytes[offset..offset + shard.len()].copy_from_slice(shard);
        let bytes = &bytes[offset..offset + shard.len()];
        let tensors = ShardReader::verify_and_parse(&manifest, 0, bytes).unwrap();
        for tensor in &tensors {
            if let TensorData::F32(values) = &tensor.data {
                assert_eq!(matches!(values, Cow::Borrowed(_)), offset == 0);
            }
        }
        results.push(
            tensors
                .iter()
                .map(|t| t.to_f32().unwrap())
                .collect::<Vec<_>>(),
        );
    }
    assert!(results.iter().all(|r| *r == results[0]));
}

#[test]
fn joiner_wants_all_pieces_in_order() {
    let (manifest, files) = write_package(500).unwrap();
    let split = manifest
        .tensors()
        .iter()
        .find(|t| t.rows_per_shard.is_some());
    let split = split.unwrap();
    let piece = |shard: usize| {
        let bytes = &files[&manifest.shards()[shard].file];
        let tensors = ShardReader::verify_and_parse(&manifest, shard, bytes).unwrap();
        let piece = tensors.into_iter().find(|t| t.name == split.name);
        piece.unwrap().into_owned()
    };
    let mut joiner = Joiner::default();
    assert!(matches!(
        joiner.push(piece(split.shard + 1)),
        Err(PackageError::Pieces { joined: 0, .. })
    ));
    assert_eq!(joiner.push(piece(split.shard)).unwrap(), None);
    assert!(matches!(
        joiner.push(piece(split.shard)),
        Err(PackageError::Pieces { start: 0, .. })
    ));
    let mut joiner = Joiner::default();
    assert_eq!(joiner.push(piece(split.shard)).unwrap(), None);
    assert!(matches!(joiner.finish(), Err(PackageError::Pieces { .. })));
}

#[test]
fn writer_refuses_what_no_reader_would_accept() {
    let mut writer = PackageWriter::new(meta(), Vec::new(), 1 << 20).unwrap();
    writer.add("a", &[2, 2], &[0.0; 4], Storage::Int4).unwrap();
    let mut add = |name: &str, shape: &[usize], values: &[f32], storage| {
        writer.add(name, shape, values, storage).unwrap_err()
    };
    use PackageError as E;
    let duplicate = add("a.scales", &[1], &[0.0], Storage::F32);
    assert!(
        matches!(duplicate, E::DuplicateTensor { .. }),
        "{duplicate}"
    );
    let error = add("a", &[2, 2], &[0.0; 4], Storage::Int8);
    assert!(matches!(error, E::DuplicateTensor { .. }), "{error}");
    let error = add("a", &[1], &[0.0], Storage::F32);
    assert!(matches!(error, E::DuplicateTensor { .. }), "{error}");
    let error = add("", &[1], &[0.0], Storage::F32);
    assert!(matches!(error, E::TensorName { .. }), "{error}");
    let error = add("b", &[3], &[0.0; 3], Storage::Int4);
    assert!(matches!(error, E::TensorShape { .. }), "{error}");
    let error = add("b", &[0, 3], &[], Storage::F32);
    assert!(matches!(error, E::TensorShape { .. }), "{error}");
    let error = add("b", &[usize::MAX, 3, 7], &[], Storage::F32);
    assert!(matches!(error, E::TensorShape { .. }), "{error}");
    let error = add("b", &[2, 3], &[0.0; 5], Storage::F32);
    assert!(matches!(error, E::ValueCount { actual: 5, .. }), "{error}");
    let error = add("b", &[2], &[0.0, f32::NAN], Storage::F32);
    assert!(matches!(error, E::Unstorable { index: 1, .. }), "{error}");
    let error = add("b", &[2], &[0.0, 1e5], Storage::F16);
    assert!(matches!(error, E::Unstorable { index: 1, .. }), "{error}");
    let error = add("b", &[1, 2], &[0.0, f32::INFINITY], Storage::Int8);
    assert!(matches!(error, E::Quantise { .. }), "{error}");

    let mut bad_meta = meta();
    bad_meta.threshold.temperature = 0.0;
    let error = PackageWriter::new(bad_meta, Vec::new(), 1 << 20).err();
    assert!(matches!(
        error,
        Some(E::Threshold {
            field: "temperature",
            ..
        })
    ));

    let writer = PackageWriter::new(meta(), Vec::new(), 1 << 20).unwrap();
    let error = writer.finish(&mut |_, _| Err(std::io::Error::other("disk full")));
    assert!(matches!(error, Err(E::Write { .. })));
}
