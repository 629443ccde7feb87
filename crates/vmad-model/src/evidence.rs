//! What the mask holds, said to the language model. Ours, not the paper's, whose words know the
//! photograph only by its few visual tokens.
//!
//! The words come after the mask: `It is [SEG]. There is a scratch …`. So the embedding of `[SEG]`
//! can carry what the mask decoder found: the features of both encoders where the mask is, and where
//! that is; and the verdict, which is the calibrated threshold's. Words and mask then speak of the
//! same thing, and no words call defective what the score lets pass.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData, activation};
use vmad_kernels::{Activation, matmul};

use crate::ModelError;
use crate::config::{EvidenceConfig, VmadConfig};
use crate::fit::Fit;
use crate::nn::{LayerNorm, Linear, Mlp, to_channels_last};
use crate::weights::{Builder, Init};

/// Epsilon of the layer norms.
const EPS: f64 = 1e-5;
/// Added to sums of weights: a mask outside of what CLIP has seen has no features, not NaN.
const TINY: f64 = 1e-6;
/// Bound of the logits, and what they are divided by.
const LOGITS: (f64, f64) = (12.0, 4.0);
/// Cells along a side of the photograph in which the mask's place is told: two to a third, since the
/// words for places divide it in three.
pub const PLACES: usize = 6;
/// What shares of the mask are multiplied by: beside hundreds of features of size 1 they would be lost.
pub const PLACE_SCALE: f64 = 6.0;
/// What a mask's place and size are told by, see [`Evidence::place`].
pub const N_PLACE_NUMBERS: usize = PLACES * PLACES + 1;
/// The strongest logit as well.
const N_NUMBERS: usize = N_PLACE_NUMBERS + 1;

/// Mask, features and verdict to an addend for the embedding of `[SEG]`.
#[derive(Module, Debug)]
pub struct Evidence {
    clip_norm: LayerNorm,
    sam_norm: LayerNorm,
    mlp: Mlp,
    place: Option<Linear>,
    /// `[2, d_text]`: the photograph passes, it does not.
    verdict: Param<Tensor<2>>,
}

/// What a mask is read against: features of the same photographs.
#[derive(Clone, Debug)]
pub struct Features {
    /// CLIP's taps, each `[n, grid², d_vision]`.
    pub taps: Vec<Tensor<3>>,
    /// SAM's image embedding, `[n, d_out, grid, grid]`.
    pub image: Tensor<4>,
    /// Width and height of each photograph in pixels.
    pub photos: Vec<(u32, u32)>,
}

impl Evidence {
    /// # Errors
    /// As the weight source's.
    pub fn new(
        b: &mut Builder,
        config: &VmadConfig,
        sizes: &EvidenceConfig,
    ) -> Result<Self, ModelError> {
        let d_clip = config.clip.taps.len() * config.clip.d_model;
        let (d_sam, d_text) = (config.sam.d_out, config.llm.d_model);
        let widths = [d_clip + d_sam + N_NUMBERS, sizes.d_hidden, d_text];
        let place = match sizes.place {
            true => {
                let mut b = b.at("place");
                Some(Linear::new(&mut b, N_PLACE_NUMBERS, d_text, Init::Torch)?)
            }
            false => None,
        };
        Ok(Self {
            clip_norm: LayerNorm::new(&mut b.at("clip_norm"), d_clip, EPS)?,
            sam_norm: LayerNorm::new(&mut b.at("sam_norm"), d_sam, EPS)?,
            mlp: Mlp::new(b, ("fc1", "fc2"), widths, Init::Torch)?,
            place,
            verdict: b.dense("verdict", [2, d_text], Init::Normal(0.5))?,
        })
    }

    /// Cells weigh by the square of their probability over the largest: those of the mask itself
    /// where there is one, else those that come nearest to it. No gradient goes into the mask.
    ///
    /// # Shapes
    /// - logits: `[n, 1, mask_side, mask_side]`
    /// - output: `[n, d_text]`
    #[must_use]
    pub fn forward(
        &self,
        logits: Tensor<4>,
        features: &Features,
        config: &VmadConfig,
    ) -> Tensor<2> {
        let device = logits.device();
        let [n, _, side, _] = logits.dims();
        let (grid, sam_grid) = (config.clip.grid(), config.sam.grid());
        let n_cells = side * side;
        let Geometry {
            inside,
            places: [places_down, places_across],
            rows,
            columns,
        } = Geometry::new(config, &features.photos, side);
        let tensor = |values, shape: [usize; 3]| {
            Tensor::<3>::from_data(TensorData::new(values, shape), &device)
        };
        let inside = tensor(inside, [n, 1, n_cells]);
        let places_down = tensor(places_down, [n, side, PLACES]);
        let places_across = tensor(places_across, [n, side, PLACES]);
        let rows = tensor(rows, [n, side, grid]);
        let columns = tensor(columns, [n, side, grid]);

        let (bound, scale) = LOGITS;
        let logits = logits.detach().clamp(-bound, bound);
        let logits = logits.reshape([n, 1, n_cells]);
        // Outside counts as the least there is.
        let logits = (logits + bound) * inside.clone() - bound;
        let strongest = logits.clone().max_dim(2); // [n, 1, 1]
        let shares = activation::sigmoid(logits) * inside.clone();
        let area = shares.clone().sum_dim(2) / (inside.sum_dim(2) + TINY);
        let weights = (shares / activation::sigmoid(strongest.clone())).square();

        let of_cells = weights.reshape([n, side, side]);
        let of_rows = matmul(places_down.transpose(), of_cells.clone());
        let of_places = matmul(of_rows, places_across).reshape([n, 1, PLACES * PLACES]);
        let area = (area + 1e-4).log() / scale;
        let places = mean_weights(of_places) * PLACE_SCALE;
        let place = self.place(Tensor::cat(vec![places.clone(), area.clone()], 2).squeeze_dim(1));
        let numbers = vec![area, strongest / scale, places];

        // The weights of CLIP's patches are those that bilinear features have in the sum over cells.
        let of_patches = matmul(matmul(rows.transpose(), of_cells.clone()), columns);
        let of_patches = mean_weights(of_patches.reshape([n, 1, grid * grid]));
        let clip = Tensor::cat(features.taps.clone(), 2); // [n, grid², n_taps · d_vision]
        let clip = self.clip_norm.forward(matmul(of_patches, clip));

        let per_cell = side / sam_grid;
        let of_cells = of_cells
            .reshape([n * sam_grid, per_cell, sam_grid, per_cell])
            .sum_dim(3)
            .sum_dim(1)
            .reshape([n, 1, sam_grid * sam_grid]);
        let image = to_channels_last(features.image.clone()).flatten::<3>(1, 2);
        let sam = self.sam_norm.forward(matmul(mean_weights(of_cells), image));

        let all = [vec![clip, sam], numbers].concat();
        let all = Tensor::cat(all, 2);
        let held = self.mlp.forward(all, Activation::Gelu).squeeze_dim::<2>(1);
        match place {
            Some(place) => held + place,
            None => held,
        }
    }

    /// Place and size of masks by themselves, where they have a layer of their own: a part of what
    /// [`Self::forward`] gives.
    ///
    /// # Shapes
    /// - numbers: `[n, N_PLACE_NUMBERS]`, of each mask the shares that lie in each of [`PLACES`]²
    ///   cells of the photograph, row by row, times [`PLACE_SCALE`]; and a quarter of the natural
    ///   logarithm of the photograph's share that it covers, plus 1e-4
    /// - output: `[n, d_text]`
    #[must_use]
    pub fn place(&self, numbers: Tensor<2>) -> Option<Tensor<2>> {
        Some(self.place.as_ref()?.forward(numbers))
    }

    /// What [`Self::forward`] gave, with the verdict: whether each photograph is anomalous.
    ///
    /// # Shapes
    /// - held, output: `[n, d_text]`
    #[must_use]
    pub fn judged(&self, held: Tensor<2>, anomalous: &[bool]) -> Tensor<2> {
        let rows: Vec<i32> = anomalous.iter().map(|is| i32::from(*is)).collect();
        let rows = TensorData::new(rows, [anomalous.len()]);
        let rows = Tensor::<1, Int>::from_data(rows, &held.device());
        held + self.verdict.val().select(0, rows)
    }
}

/// Weights `[n, 1, cells]` whose sum is 1.
fn mean_weights(weights: Tensor<3>) -> Tensor<3> {
    let sum = weights.clone().sum_dim(2) + TINY;
    weights / sum
}

/// Where the cells of masks lie.
struct Geometry {
    /// `[n, side²]`, 1 for cells of the photograph.
    inside: Vec<f32>,
    /// Down and across, `[n, side, PLACES]` each: 1 for the place that a cell belongs to.
    places: [Vec<f32>; 2],
    /// `[n, side, grid]`, bilinear weights of CLIP's patches down.
    rows: Vec<f32>,
    /// The same across.
    columns: Vec<f32>,
}

impl Geometry {
    fn new(config: &VmadConfig, photos: &[(u32, u32)], side: usize) -> Self {
        let mut geometry = Self {
            inside: Vec::new(),
            places: [Vec::new(), Vec::new()],
            rows: Vec::new(),
            columns: Vec::new(),
        };
        for photo in photos {
            let fit = Fit::new(config, *photo);
            let down: Vec<Option<f32>> = fit.down.places(side).collect();
            let across: Vec<Option<f32>> = fit.across.places(side).collect();
            let is_inside = |x: &Option<f32>, y: &Option<f32>| x.is_some() && y.is_some();
            let cells = down
                .iter()
                .flat_map(|y| across.iter().map(move |x| is_inside(x, y)));
            geometry
                .inside
                .extend(cells.map(|is| f32::from(u8::from(is))));
            for (places, axis) in geometry.places.iter_mut().zip([down, across]) {
                for at in axis {
                    let place = at.map(|at| (at * PLACES as f32) as usize);
                    places.extend((0..PLACES).map(|i| f32::from(u8::from(place == Some(i)))));
                }
            }
            geometry.rows.extend(fit.down.weights(side));
            geometry.columns.extend(fit.across.weights(side));
        }
        geometry
    }
}
