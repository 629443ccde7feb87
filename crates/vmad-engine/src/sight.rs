//! A photograph: its pixels, what stays of it while it is talked about, and the masks found in it.

use burn::tensor::Tensor;
use vmad_model::evidence::Features;
use vmad_prep::{Limits, PrepError, RgbImage, decode};

use crate::pace::{Pace, read};
use crate::speech::Brain;
use crate::{EngineError, Photo, Stage};

/// A photograph's features.
pub(crate) struct Sight {
    /// CLIP's taps only where the model takes evidence from them.
    pub features: Features,
    /// `[1, 1, 4·grid, 4·grid]`
    pub prior: Option<Tensor<4>>,
}

/// A mask.
pub(crate) struct Found {
    /// `[4·grid, 4·grid]`
    pub logits: Vec<f32>,
    /// What it holds, `[1, d_text]`, where the model takes evidence.
    pub held: Option<Tensor<2>>,
}

impl Sight {
    /// Bytes of the features.
    pub fn bytes(&self) -> u64 {
        fn held<const D: usize>(tensor: &Tensor<D>) -> u64 {
            (tensor.dims().iter().product::<usize>() * size_of::<f32>()) as u64
        }
        let taps: u64 = self.features.taps.iter().map(held).sum();
        taps + held(&self.features.image) + self.prior.as_ref().map_or(0, held)
    }

    /// The mask of a state `[1, d_text]` that predicts `[SEG]`.
    pub async fn find(&self, brain: &Brain<'_>, state: &Tensor<2>) -> Result<Found, EngineError> {
        let image = self.features.image.clone();
        let mask = brain
            .model
            .segment(state.clone(), image, self.prior.clone());
        let evidence = brain.model.evidence.as_ref();
        Ok(Found {
            held: evidence.map(|e| e.forward(mask.clone(), &self.features, brain.config)),
            logits: read(Stage::Mask, mask).await?,
        })
    }
}

/// A photograph's pixels, as a stage of its own.
pub(crate) async fn decoded(photo: Photo, pace: &mut Pace) -> Result<RgbImage, EngineError> {
    pace.begin(Stage::Decode).await?;
    let image = decode_photo(photo)?;
    pace.end(Stage::Decode);
    Ok(image)
}

/// A photograph's pixels; there is one at least.
pub(crate) fn decode_photo(photo: Photo) -> Result<RgbImage, EngineError> {
    match photo {
        Photo::File(bytes) => Ok(decode(&bytes, &Limits::default())?),
        Photo::Rgb(image) => match image.dimensions() {
            (width, height) if width == 0 || height == 0 => {
                Err(PrepError::NoPixels { width, height }.into())
            }
            _ => Ok(image),
        },
    }
}
