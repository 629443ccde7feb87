//! What is known of a scene, as embeddings: they stand in for pictures in [`Stage::Talk`].
//!
//! [`Stage::Talk`]: crate::config::Stage::Talk

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use vmad_data::DefectKind;
use vmad_model::evidence::{Evidence, N_PLACE_NUMBERS, PLACE_SCALE, PLACES, area_number};
use vmad_model::nn::Linear;
use vmad_model::{Builder, Init, ModelError, VmadConfig};

use crate::heads::coarser;
use crate::samples::{NORMAL_PATCH, PATCH_CLASSES, Truth, UNKNOWN_PATCH, View};
use crate::worlds::Worlds;

/// Spread of the embeddings: that of visual tokens.
const SPREAD: f64 = 0.5;
/// The number that stands for a kind: a tenth of what tells the places would be
/// heard hundreds of steps later than they.
const KIND_SCALE: f32 = PLACE_SCALE as f32;

/// What the tokens in place of a picture show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The object alone. Where the mask's evidence tells the rest, the words are to listen to that: with
    /// the kind in both, they read it off these tokens and never learn to hear the place.
    Object,
    /// The object, and the class of what each token covers.
    Classes,
}

/// Facts to what the language model hears in place of visual tokens and of evidence.
#[derive(Module, Debug)]
pub struct Facts {
    /// `[PATCH_CLASSES, d_text]`
    classes: Param<Tensor<2>>,
    /// `[N_OBJECTS, d_text]`
    objects: Param<Tensor<2>>,
    kinds: Linear,
    /// Stands in for [`Evidence::place`] where the model has none.
    place: Option<Linear>,
}

impl Facts {
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
            |name: &str, rows: usize| b.dense(name, [rows, d_text], Init::Normal(SPREAD));
        Ok(Self {
            classes: table("classes", PATCH_CLASSES)?,
            objects: table("objects", Worlds::N_OBJECTS)?,
            kinds: Linear::new(&mut b.at("kinds"), PATCH_CLASSES, d_text, Init::Torch)?,
            place,
        })
    }

    /// The object in each token, and where it is shown the class of what the token covers.
    ///
    /// # Shapes
    /// - output: `[n, n_visual, d_text]`
    pub fn tokens(
        &self,
        truths: &[&Truth],
        shown: &[Shown],
        n_visual: usize,
        device: &Device,
    ) -> Tensor<3> {
        let n = truths.len();
        let side = n_visual.isqrt();
        let known = |class: i32| {
            if class == i32::from(UNKNOWN_PATCH) {
                0
            } else {
                class
            }
        };
        let classes = truths.iter().zip(shown).flat_map(|(truth, shown)| {
            let classes = coarser(&truth.patches, side);
            let is_shown = *shown == Shown::Classes;
            classes.into_iter().map(move |class| match is_shown {
                true => known(class),
                false => i32::from(NORMAL_PATCH),
            })
        });
        let classes: Vec<i32> = classes.collect();
        let objects: Vec<i32> = truths.iter().map(|truth| truth.object as i32).collect();
        let rows = |table: &Param<Tensor<2>>, ids: Vec<i32>| {
            let len = ids.len();
            let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [len]), device);
            table.val().select(0, ids)
        };
        let [_, d] = self.classes.val().dims();
        let classes = rows(&self.classes, classes).reshape([n, side * side, d]);
        classes + rows(&self.objects, objects).reshape([n, 1, d])
    }

    /// What the mask of each view would hold: kinds, places and area of what the criterion leaves.
    ///
    /// # Shapes
    /// - output: `[views, d_text]`
    pub fn held(
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

/// The kinds that the criterion leaves of a view's defects, as numbers.
fn kinds(View { truth, .. }: &View, tolerated: &[DefectKind]) -> Vec<f32> {
    let mut kinds = vec![0.0; PATCH_CLASSES];
    for kind in truth.left(tolerated) {
        kinds[kind.id() + 1] = KIND_SCALE;
    }
    if truth.left(tolerated).next().is_none() {
        kinds[usize::from(NORMAL_PATCH)] = KIND_SCALE;
    }
    kinds
}

/// For each cell of what the criterion leaves of a view's defects its place, an index below
/// `PLACES²`, and the share that is defective, 0 to 1.
fn defective_cells(
    View { truth, frame, .. }: &View,
    tolerated: &[DefectKind],
) -> Vec<(usize, f32)> {
    let n_cells = truth.masks.first().map_or(0, |(_, mask)| mask.len());
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
    let shares = truth.mask(tolerated, n_cells);
    let cells = shares.iter().enumerate();
    cells
        .map(|(i, share)| {
            let place = rows[i / side] * PLACES + columns[i % side];
            (place, f32::from(*share) / 255.0)
        })
        .collect()
}

/// The share that each place has of what the criterion leaves, as [`Evidence::place`] takes it.
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
