//! Photographs of good parts that later photographs are compared with.

use vmad_model::VmadConfig;
use vmad_prep::{Prior, Reference, ReferenceBank, SamInput, sam_input};

use crate::{CancelToken, EngineError, Host, Photo};

/// Maximum number of reference photographs.
pub(crate) const MAX_REFERENCES: usize = 16;

/// A photograph of a good part.
#[derive(Debug)]
pub struct ReferencePhoto {
    /// A name for messages, for instance its file's name.
    pub name: String,
    /// The photograph, or why it cannot be read.
    pub photo: Result<Photo, EngineError>,
}

/// Descriptions of the patches of all reference photographs.
#[derive(Default)]
pub(crate) struct References {
    bank: Option<ReferenceBank>,
    n_photos: usize,
}

impl References {
    /// Describes photographs one at a time.
    ///
    /// # Errors
    /// As [`crate::Engine::set_references`].
    pub async fn describe(
        photos: impl IntoIterator<Item = ReferencePhoto>,
        config: &VmadConfig,
        host: &dyn Host,
        cancel: &CancelToken,
    ) -> Result<Self, EngineError> {
        let mut references = Vec::new();
        for ReferencePhoto { name, photo } in photos {
            check_count(references.len() + 1, config)?;
            let described = photo.and_then(|photo| describe(photo, config));
            let described = described.map_err(|error| EngineError::Reference {
                name,
                reason: Box::new(error),
            });
            references.push(described?);
            host.yield_now().await;
            cancel.check()?;
        }
        Ok(Self {
            bank: ReferenceBank::new(&references),
            n_photos: references.len(),
        })
    }

    /// Number of photographs.
    pub fn len(&self) -> usize {
        self.n_photos
    }

    /// The patch-similarity prior of a photograph: against the references where there are any,
    /// within the photograph otherwise.
    pub fn prior(&self, sam: &SamInput) -> Prior {
        match &self.bank {
            Some(bank) => Prior::against(sam, bank),
            None => Prior::new(sam),
        }
    }
}

fn check_count(n: usize, config: &VmadConfig) -> Result<(), EngineError> {
    let rule = if !config.needs_prior() {
        "this model compares no patches of pixels; references need a package whose \
         configuration has similarity_prompt in clip, or in sam with similarity_source pixels"
    } else if n > MAX_REFERENCES {
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

fn describe(photo: Photo, config: &VmadConfig) -> Result<Reference, EngineError> {
    let image = photo.decode()?;
    let frame = config.photo_frame(image.dimensions());
    Ok(Reference::of_photo(&sam_input(&image, &frame)))
}
