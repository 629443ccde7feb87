//! Readers of the fixtures that `tests/reference/prep.py` writes.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::PathBuf;

use safetensors::{Dtype, SafeTensors};
use vmad_prep::{ClipMode, PhotoFrame, RgbImage};

/// What a test fails with when its set-up does.
pub type Failure = Box<dyn std::error::Error>;

/// A file under `tests/` of the repository.
pub fn shared(path: &str) -> Result<Vec<u8>, Failure> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let full = root.join(path);
    std::fs::read(&full).map_err(|error| format!("{}: {error}", full.display()).into())
}

/// The frame of a photograph for a test that has to do with SAM's square only.
pub fn sam_frame(photo_size: (u32, u32), sam_size: u32) -> PhotoFrame {
    PhotoFrame {
        photo_size,
        clip_size: 1,
        clip_mode: ClipMode::Pad,
        sam_size,
    }
}

/// One safetensors file of `tests/fixtures/prep`.
pub struct Fixture(Vec<u8>);

impl Fixture {
    pub fn open(name: &str) -> Result<Self, Failure> {
        Ok(Self(shared(&format!("fixtures/prep/{name}.safetensors"))?))
    }

    pub fn names(&self) -> Result<Vec<String>, Failure> {
        let tensors = SafeTensors::deserialize(&self.0)?;
        let mut names: Vec<String> = tensors.names().into_iter().map(String::from).collect();
        names.sort();
        Ok(names)
    }

    pub fn bytes(&self, name: &str) -> Result<(Vec<usize>, Vec<u8>), Failure> {
        let tensors = SafeTensors::deserialize(&self.0)?;
        let tensor = tensors.tensor(name)?;
        assert_eq!(tensor.dtype(), Dtype::U8, "{name}");
        Ok((tensor.shape().to_vec(), tensor.data().to_vec()))
    }

    pub fn picture(&self, name: &str) -> Result<RgbImage, Failure> {
        let (shape, data) = self.bytes(name)?;
        let [height, width, 3] = shape[..] else {
            return Err(format!("{name} has shape {shape:?}").into());
        };
        RgbImage::from_raw(width as u32, height as u32, data).ok_or_else(|| name.into())
    }

    pub fn floats(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), Failure> {
        let tensors = SafeTensors::deserialize(&self.0)?;
        let tensor = tensors.tensor(name)?;
        assert_eq!(tensor.dtype(), Dtype::F32, "{name}");
        let values = tensor.data().chunks_exact(4);
        let values = values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Ok((tensor.shape().to_vec(), values.collect()))
    }

    pub fn ints(&self, name: &str) -> Result<Vec<u32>, Failure> {
        let tensors = SafeTensors::deserialize(&self.0)?;
        let tensor = tensors.tensor(name)?;
        assert_eq!(tensor.dtype(), Dtype::I32, "{name}");
        let values = tensor.data().chunks_exact(4);
        Ok(values
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect())
    }
}

/// Fails with the first place where two slices differ by more than `tolerance`.
pub fn assert_close(what: &str, actual: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(actual.len(), expected.len(), "{what}: length");
    for (index, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!(
            (a - e).abs() <= tolerance,
            "{what}[{index}]: {a}, expected {e} (tolerance {tolerance})"
        );
    }
}
