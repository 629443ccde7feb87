//! One photograph of a data set and what the data set says of it.

use super::image_files::{read_mask, upright_size};
use super::labels::{kind_of_label, object_words};
use crate::defect::DefectKind;
use crate::error::DataError;
use crate::polygon::Polygon;
use crate::rle::Rle;
use crate::words::Qa;
use image::GrayImage;
use std::path::PathBuf;

/// The subset of a data set that a photograph belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subset {
    /// For training.
    Train,
    /// For choosing between models and for thresholds.
    Val,
    /// For reported figures.
    Test,
}

impl Subset {
    /// All subsets in fixed order.
    pub const ALL: [Subset; 3] = [Self::Train, Self::Val, Self::Test];

    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }

    /// Finds a subset by its [`Subset::name`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|subset| subset.name() == name)
    }
}

/// Where the defects of a photograph are.
#[derive(Clone, Debug, PartialEq)]
pub enum Truth {
    /// No mask: a normal photograph has no defect; where a defective one has it is not known.
    Nothing,
    /// In these regions, all inside of the size that the record states.
    Regions(Vec<Region>),
    /// Where this picture, as large as the photograph, is not black.
    MaskFile(PathBuf),
}

/// One marked region.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// The kind of its defect, where its label says one.
    pub kind: Option<DefectKind>,
    /// Its pixels.
    pub shape: Shape,
}

/// The form in which a region is written down.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Run lengths, as large as the photograph.
    Rle(Rle),
    /// Outlines; what any of them covers belongs to the region.
    Polygons(Vec<Polygon>),
}

/// One photograph of a data set on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its id in the annotations; where the layout has none, its place in the data set.
    pub id: u64,
    /// The image file.
    pub path: PathBuf,
    /// Width and height in pixels, where the layout states them.
    pub size: Option<(u32, u32)>,
    /// The product's name in sentences.
    pub object: String,
    /// Product category.
    pub category: String,
    /// What a normal product looks like; may be empty.
    pub normal_description: String,
    /// The subset that the layout assigns it to, if any.
    pub part: Option<Subset>,
    /// Whether anything is wrong with what it shows.
    pub is_defective: bool,
    /// The layout's own labels of its defects, each once, such as `broken_large`.
    pub defect_types: Vec<String>,
    /// The kinds that these labels name, each once. Labels that name none are left out.
    pub kinds: Vec<DefectKind>,
    /// Where the defects are.
    pub truth: Truth,
    /// Questions and answers.
    pub qa: Vec<Qa>,
}

impl Record {
    /// A normal photograph of which only the category is known.
    pub(super) fn normal(id: u64, path: PathBuf, category: &str) -> Self {
        Self {
            id,
            path,
            size: None,
            object: object_words(category),
            category: category.to_owned(),
            normal_description: String::new(),
            part: None,
            is_defective: false,
            defect_types: Vec::new(),
            kinds: Vec::new(),
            truth: Truth::Nothing,
            qa: Vec::new(),
        }
    }

    /// Notes a defect by the layout's label.
    pub(super) fn add_defect(&mut self, label: &str) {
        self.is_defective = true;
        if !label.is_empty() && !self.defect_types.iter().any(|known| known == label) {
            self.defect_types.push(label.to_owned());
        }
        if let Some(kind) = kind_of_label(label)
            && !self.kinds.contains(&kind)
        {
            self.kinds.push(kind);
        }
    }

    /// The union of all marked regions, 0 or 255, as large as the photograph.
    ///
    /// Reads the size of the photograph from its file, and the mask's file if there is one.
    ///
    /// # Errors
    /// [`DataError::NoMask`] for a defective photograph of which no mask is known; otherwise what
    /// is wrong with one of the two files.
    pub fn mask(&self) -> Result<GrayImage, DataError> {
        let size = upright_size(&self.path)?;
        self.mask_for(size)?.ok_or_else(|| DataError::NoMask {
            path: self.path.clone(),
        })
    }

    /// [`Record::mask`] for a photograph whose width and height are known; nothing where a mask is
    /// missing.
    pub(super) fn mask_for(&self, size: (u32, u32)) -> Result<Option<GrayImage>, DataError> {
        if let Some(stated) = self.size
            && stated != size
        {
            return Err(DataError::ImageSize {
                path: self.path.clone(),
                image: size,
                stated,
            });
        }
        match &self.truth {
            Truth::Nothing if self.is_defective => Ok(None),
            Truth::Nothing => Ok(Some(GrayImage::new(size.0, size.1))),
            Truth::MaskFile(path) => read_mask(path, size).map(Some),
            Truth::Regions(regions) => {
                let mut mask = GrayImage::new(size.0, size.1);
                for region in regions {
                    self.paint(region, &mut mask)?;
                }
                Ok(Some(mask))
            }
        }
    }

    /// Each marked region by itself with the kind of its defect, 0 or 255, as large as `mask`, which
    /// is [`LabelledPhoto::mask`](super::LabelledPhoto::mask). Where the layout marks all defects in
    /// one picture, that is one region.
    ///
    /// # Errors
    /// A region that does not fit the photograph.
    pub fn regions(
        &self,
        mask: &GrayImage,
    ) -> Result<Vec<(Option<DefectKind>, GrayImage)>, DataError> {
        match &self.truth {
            Truth::Nothing => Ok(Vec::new()),
            Truth::MaskFile(_) => Ok(vec![(self.kinds.first().copied(), mask.clone())]),
            Truth::Regions(regions) => regions
                .iter()
                .map(|region| {
                    let mut alone = GrayImage::new(mask.width(), mask.height());
                    self.paint(region, &mut alone)?;
                    Ok((region.kind, alone))
                })
                .collect(),
        }
    }

    fn paint(&self, region: &Region, mask: &mut GrayImage) -> Result<(), DataError> {
        match &region.shape {
            Shape::Rle(rle) => rle.paint(mask).map_err(|error| DataError::Invalid {
                path: self.path.clone(),
                what: error.to_string(),
            }),
            Shape::Polygons(polygons) => {
                polygons.iter().for_each(|polygon| polygon.paint(mask));
                Ok(())
            }
        }
    }
}
