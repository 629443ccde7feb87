//! Photographs of good parts that later ones are compared with.

use vmad_prep::{Prior, Reference, ReferenceBank, SamInput, sam_input};

use crate::sight::decode_photo;
use crate::{CancelToken, Engine, EngineError, Photo};

/// A photograph of a good part.
#[derive(Debug)]
pub struct ReferencePhoto {
    /// What to call it, for instance its file's name.
    pub name: String,
    /// The photograph, or why it cannot be read.
    pub photo: Result<Photo, EngineError>,
}

impl Engine {
    /// Most photographs of good parts that are taken.
    pub const MAX_REFERENCES: usize = 16;

    /// From now on [`Engine::inspect`] and [`Engine::calibrate`] compare each photograph with these
    /// photographs of good parts as well as with itself, until others are set; none ends it. They
    /// are taken in one at a time, and only descriptions of their patches are kept.
    ///
    /// They count where the prior is from pixels; one from CLIP's features stays within the picture.
    ///
    /// An extension of ours: results with references are few-shot, not the paper's zero-shot
    /// protocol, and thresholds that were found without them do not hold.
    ///
    /// # Errors
    /// [`EngineError::BadQuery`] where the model does not compare patches or there are more than
    /// [`Self::MAX_REFERENCES`]; [`EngineError::Reference`], which names the photograph;
    /// [`EngineError::Cancelled`]. The references are then those from before.
    pub async fn set_references(
        &mut self,
        photos: impl IntoIterator<Item = ReferencePhoto>,
        cancel: &CancelToken,
    ) -> Result<usize, EngineError> {
        let mut references = Vec::new();
        for ReferencePhoto { name, photo } in photos {
            self.check_references(references.len() + 1)?;
            let described = photo.and_then(|photo| self.describe(photo));
            let described = described.map_err(|error| EngineError::Reference {
                name,
                reason: Box::new(error),
            });
            references.push(described?);
            self.host.yield_now().await;
            cancel.check()?;
        }
        self.references = ReferenceBank::new(&references);
        self.n_references = references.len();
        Ok(references.len())
    }

    /// How many photographs of good parts are set.
    #[must_use]
    pub fn n_references(&self) -> usize {
        self.n_references
    }

    fn check_references(&self, n: usize) -> Result<(), EngineError> {
        let rule = if !self.config.needs_prior() {
            "this model compares no patches of pixels; references need a package whose \
             configuration has similarity_prompt in clip, or in sam with similarity_source pixels"
        } else if n > Self::MAX_REFERENCES {
            "at most 16 photographs are allowed"
        } else {
            return Ok(());
        };
        Err(EngineError::BadQuery {
            field: "references",
            value: format!("{n} photographs"),
            rule,
        })
    }

    fn describe(&self, photo: Photo) -> Result<Reference, EngineError> {
        let image = decode_photo(photo)?;
        let frame = self.config.photo_frame(image.dimensions());
        Ok(Reference::of_photo(&sam_input(&image, &frame)))
    }

    /// The patch-similarity prior of a photograph, against the references where there are any.
    pub(crate) fn prior_of(&self, input: &SamInput) -> Prior {
        match &self.references {
            Some(bank) => Prior::against(input, bank),
            None => Prior::new(input),
        }
    }
}
