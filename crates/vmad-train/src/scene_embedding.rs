//! Embeddings of scene facts. In [`Stage::Language`] they replace visual tokens and mask evidence.
//!
//! [`Stage::Language`]: crate::config::Stage::Language

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use vmad_data::DefectKind;
use vmad_model::evidence::{Evidence, N_PLACE_NUMBERS, PLACE_SCALE, PLACES, area_number};
use vmad_model::nn::Linear;
use vmad_model::{Builder, Init, ModelError, VmadConfig};

use crate::patch_classes::{NORMAL_PATCH, PATCH_CLASSES, UNKNOWN_PATCH, class_of, downsampled};
use crate::targets::Targets;
use crate::view::View;
use crate::worlds::Worlds;

/// Standard deviation of the embeddings: that of visual tokens.
const EMBEDDING_STD: f64 = 0.5;
/// Value of a kind's input, as large as those of the places: with a tenth of it the model learns the kinds
/// hundreds of steps later than the places.
const KIND_SCALE: f32 = PLACE_SCALE as f32;

/// The facts in the tokens that replace a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFacts {
    /// The object alone. Where the mask evidence holds the other facts, the text must learn to read them there:
    /// with the kind in both places it reads the tokens and never learns the place.
    Object,
    /// The object, and the class of each token's part of the picture.
    ObjectAndClasses,
}

/// Maps scene facts to the embeddings that replace visual tokens and mask evidence.
#[derive(Module, Debug)]
pub struct SceneEmbedding {
    /// `[PATCH_CLASSES, d_text]`
    classes: Param<Tensor<2>>,
    /// `[N_OBJECTS, d_text]`
    objects: Param<Tensor<2>>,
    kinds: Linear,
    /// Replaces [`Evidence::place`] where the model has none.
    place: Option<Linear>,
}

impl SceneEmbedding {
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, config: &VmadConfig) -> Result<Self, ModelError> {
        let d_text = config.llm.d_model;
        let has_place = config.evidence.as_ref().is_some_and(|sizes| sizes.place);
        let place = match has_place {
            true => None,
            false => {
                let mut b = b.at("place");
                Some(Linear::new(&mut b, N_PLACE_NUMBERS, d_text, Init::Torch)?)
            }
        };
        let mut table =
            |name: &str, rows: usize| b.dense(name, [rows, d_text], Init::Normal(EMBEDDING_STD));
        Ok(Self {
            classes: table("classes", PATCH_CLASSES)?,
            objects: table("objects", Worlds::N_OBJECTS)?,
            kinds: Linear::new(&mut b.at("kinds"), PATCH_CLASSES, d_text, Init::Torch)?,
            place,
        })
    }

    /// The tokens that replace a picture.
    ///
    /// # Shapes
    /// - output: `[n, n_visual, d_text]`
    pub fn tokens(
        &self,
        targets: &[&Targets],
        facts: &[TokenFacts],
        n_visual: usize,
        device: &Device,
    ) -> Tensor<3> {
        let n = targets.len();
        let side = n_visual.isqrt();
        let (normal, unknown) = (i32::from(NORMAL_PATCH), i32::from(UNKNOWN_PATCH));
        let classes = targets.iter().zip(facts).flat_map(|(targets, facts)| {
            let classes = downsampled(&targets.patches, side);
            let has_classes = *facts == TokenFacts::ObjectAndClasses;
            let is_known = move |class: &i32| has_classes && *class != unknown;
            let classes = classes.into_iter();
            classes.map(move |class| Some(class).filter(is_known).unwrap_or(normal))
        });
        let classes: Vec<i32> = classes.collect();
        let objects: Vec<i32> = targets
            .iter()
            .map(|targets| targets.object as i32)
            .collect();
        let rows = |table: &Param<Tensor<2>>, ids: Vec<i32>| {
            let len = ids.len();
            let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [len]), device);
            table.val().select(0, ids)
        };
        let [_, d] = self.classes.val().dims();
        let classes = rows(&self.classes, classes).reshape([n, side * side, d]);
        classes + rows(&self.objects, objects).reshape([n, 1, d])
    }

    /// The embedding that replaces the evidence of each view's mask: kinds, places and area of the defects
    /// that the criterion does not tolerate.
    ///
    /// # Shapes
    /// - output: `[views, d_text]`
    pub fn mask_evidence(
        &self,
        evidence: &Evidence,
        views: &[(&View, &[DefectKind])],
        device: &Device,
    ) -> Tensor<2> {
        let tensor = |of: fn(&View, &[DefectKind]) -> Vec<f32>, width: usize| {
            let values = views.iter().flat_map(|(view, kinds)| of(view, kinds));
            let values = TensorData::new(values.collect(), [views.len(), width]);
            Tensor::<2>::from_data(values, device)
        };
        let kinds = self.kinds.forward(tensor(kinds, PATCH_CLASSES));
        let places = tensor(places, PLACES * PLACES);
        let area = area_number(tensor(area, 1));
        let place = Tensor::cat(vec![places, area], 1);
        match &self.place {
            Some(stand_in) => kinds + stand_in.forward(place),
            None => match evidence.place(place) {
                Some(place) => kinds + place,
                None => kinds,
            },
        }
    }
}

/// A view's defect kinds that the criterion does not tolerate, `[PATCH_CLASSES]`.
fn kinds(View { targets, .. }: &View, tolerated: &[DefectKind]) -> Vec<f32> {
    let mut kinds = vec![0.0; PATCH_CLASSES];
    for kind in targets.rejected_kinds(tolerated) {
        kinds[usize::from(class_of(kind))] = KIND_SCALE;
    }
    if !targets.is_rejected(tolerated) {
        kinds[usize::from(NORMAL_PATCH)] = KIND_SCALE;
    }
    kinds
}

/// For each cell of the mask its place, an index below `PLACES²`, and the share of it that is defective by the
/// criterion, 0 to 1.
fn defective_cells(
    View { targets, frame, .. }: &View,
    tolerated: &[DefectKind],
) -> Vec<(usize, f32)> {
    let n_cells = targets.masks.first().map_or(0, |(_, mask)| mask.len());
    let side = n_cells.isqrt();
    // A cell whose centre lies beyond the photograph belongs to its last row or column.
    let place = |share: Option<f32>| {
        share.map_or(PLACES - 1, |share| {
            ((share * PLACES as f32) as usize).min(PLACES - 1)
        })
    };
    let columns: Vec<usize> = frame
        .x()
        .photo_shares_of_sam_cells(side)
        .map(place)
        .collect();
    let rows: Vec<usize> = frame
        .y()
        .photo_shares_of_sam_cells(side)
        .map(place)
        .collect();
    let shares = targets.mask(tolerated, n_cells);
    let cells = shares.iter().enumerate();
    cells
        .map(|(i, share)| {
            let place = rows[i / side] * PLACES + columns[i % side];
            (place, f32::from(*share) / 255.0)
        })
        .collect()
}

/// The share that each place has of the defective area, as [`Evidence::place`] takes it.
fn places(view: &View, tolerated: &[DefectKind]) -> Vec<f32> {
    let mut places = [0.0; PLACES * PLACES];
    let mut area = 0.0;
    for (place, share) in defective_cells(view, tolerated) {
        places[place] += share;
        area += share;
    }
    let places = places.iter();
    places
        .map(|share| share / f32::max(area, 1e-6) * PLACE_SCALE as f32)
        .collect()
}

/// The share of the photograph that is defective by the criterion.
fn area(view: &View, tolerated: &[DefectKind]) -> Vec<f32> {
    let cells = defective_cells(view, tolerated);
    let area: f32 = cells.iter().fold(0.0, |area, (_, share)| area + share);
    let n_inside = view.frame.photo_area_in_sam_cells(cells.len());
    vec![area / n_inside.max(1.0)]
}
