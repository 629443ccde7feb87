//! Mask features for the language model: an extension of ours. In the paper the language model knows
//! the photograph only by its visual tokens.
//!
//! An answer is generated after its mask: `It is [SEG]. There is a scratch …`. [`Evidence`] returns an
//! addend for the embedding of `[SEG]`: both encoders' features pooled over the mask, the mask's
//! position and area, and the verdict of the calibrated threshold. Words then describe the region that
//! the mask shows, and agree with the verdict.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData, activation};
use vmad_kernels::{Activation, matmul};
use vmad_prep::PhotoFrame;

use crate::ModelError;
use crate::config::{EvidenceConfig, VmadConfig};
use crate::nn::{LayerNorm, Linear, Mlp, to_channels_last};
use crate::weights::{Builder, Init};

/// Epsilon of the layer norms.
const EPS: f64 = 1e-5;
/// Added to sums of weights, so that a mask outside of CLIP's square gives zeros and not NaN.
const TINY: f64 = 1e-6;
/// Bound of the logits, and the divisor that scales them.
const LOGITS: (f64, f64) = (12.0, 4.0);
/// Cells along a side of the photograph in which the mask's position is given: two to a third, since
/// the words for positions divide it into thirds.
pub const PLACES: usize = 6;
/// Factor of the mask's share in each cell, so that it counts beside hundreds of features of size 1.
pub const PLACE_SCALE: f64 = 6.0;
/// Number of inputs of [`Evidence::place`].
pub const N_PLACE_NUMBERS: usize = PLACES * PLACES + 1;
/// Those and the largest logit.
const N_NUMBERS: usize = N_PLACE_NUMBERS + 1;

/// Mask, image features and verdict → an addend for the embedding of `[SEG]`.
#[derive(Module, Debug)]
pub struct Evidence {
    clip_norm: LayerNorm,
    sam_norm: LayerNorm,
    mlp: Mlp,
    place: Option<Linear>,
    /// `[2, d_text]`: normal, anomalous.
    verdict: Param<Tensor<2>>,
}

/// Features of the photographs that the masks belong to.
#[derive(Clone, Debug)]
pub struct Features {
    /// CLIP's taps, each `[n, grid², d_vision]`.
    pub taps: Vec<Tensor<3>>,
    /// SAM's image embedding, `[n, d_out, grid, grid]`.
    pub image: Tensor<4>,
    /// Where each photograph lies in the encoders' inputs.
    pub frames: Vec<PhotoFrame>,
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

    /// Pools the features over each mask. A cell's weight is the square of its probability divided by
    /// the mask's largest, so that a mask without a cell above 0.5 has weights too. No gradient flows
    /// into the mask.
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
        let grid = config.clip.grid();
        let n_cells = side * side;
        let Geometry {
            inside,
            places: [places_down, places_across],
            rows,
            columns,
        } = Geometry::new(&features.frames, side, grid);
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
        // Cells of padding get the lowest logit.
        let logits = (logits + bound) * inside.clone() - bound;
        let strongest = logits.clone().max_dim(2); // [n, 1, 1]
        let shares = activation::sigmoid(logits) * inside.clone();
        let area = shares.clone().sum_dim(2) / (inside.sum_dim(2) + TINY);
        let weights = (shares / activation::sigmoid(strongest.clone())).square();

        let of_cells = weights.reshape([n, side, side]);
        let of_rows = matmul(places_down.transpose(), of_cells.clone());
        let of_places = matmul(of_rows, places_across).reshape([n, 1, PLACES * PLACES]);
        let area = area_number(area);
        let places = mean_weights(of_places) * PLACE_SCALE;
        let place = self.place(Tensor::cat(vec![places.clone(), area.clone()], 2).squeeze_dim(1));
        let numbers = vec![area, strongest / scale, places];

        let clip = Tensor::cat(features.taps.clone(), 2); // [n, grid², n_taps · d_vision]
        let clip = pool_clip(of_cells.clone(), clip, rows, columns);
        let clip = self.clip_norm.forward(clip);
        let sam = pool_sam(of_cells, features.image.clone());
        let sam = self.sam_norm.forward(sam);

        let all = [vec![clip, sam], numbers].concat();
        let all = Tensor::cat(all, 2);
        let mask_features = self.mlp.forward(all, Activation::Gelu).squeeze_dim::<2>(1);
        match place {
            Some(place) => mask_features + place,
            None => mask_features,
        }
    }

    /// The part of [`Self::forward`] that depends on position and area alone; `None` where the model
    /// has no layer for it.
    ///
    /// # Shapes
    /// - numbers: `[n, N_PLACE_NUMBERS]`, of each mask the shares that lie in each of [`PLACES`]²
    ///   cells of the photograph, row by row, times [`PLACE_SCALE`]; and its [`area_number`]
    /// - output: `[n, d_text]`
    #[must_use]
    pub fn place(&self, numbers: Tensor<2>) -> Option<Tensor<2>> {
        Some(self.place.as_ref()?.forward(numbers))
    }

    /// Adds the embedding of each photograph's verdict to the output of [`Self::forward`].
    ///
    /// # Shapes
    /// - mask_features, output: `[n, d_text]`
    #[must_use]
    pub fn with_verdict(&self, mask_features: Tensor<2>, anomalous: &[bool]) -> Tensor<2> {
        let rows: Vec<i32> = anomalous.iter().map(|is| i32::from(*is)).collect();
        let rows = TensorData::new(rows, [anomalous.len()]);
        let rows = Tensor::<1, Int>::from_data(rows, &mask_features.device());
        mask_features + self.verdict.val().select(0, rows)
    }
}

/// A mask's area as [`Evidence`] takes it: ln(share + 1e-4) / 4.
///
/// # Shapes
/// - share: of any shape, the share of the photograph that each mask covers, 0 to 1
/// - output: of the same shape
#[must_use]
pub fn area_number<const D: usize>(share: Tensor<D>) -> Tensor<D> {
    (share + 1e-4).log() / LOGITS.1
}

/// CLIP's features pooled over masks.
///
/// # Shapes
/// - of_cells: weights `[n, side, side]`
/// - features: `[n, grid², d]`
/// - rows, columns: bilinear weights of the patches, `[n, side, grid]`
/// - output: `[n, 1, d]`
fn pool_clip(
    of_cells: Tensor<3>,
    features: Tensor<3>,
    rows: Tensor<3>,
    columns: Tensor<3>,
) -> Tensor<3> {
    let [n, _, grid] = rows.dims();
    // Weights of the patches: bilinear interpolation to cells, then the sum over cells.
    let of_patches = matmul(matmul(rows.transpose(), of_cells), columns);
    let of_patches = mean_weights(of_patches.reshape([n, 1, grid * grid]));
    matmul(of_patches, features)
}

/// SAM's features pooled over masks.
///
/// # Shapes
/// - of_cells: weights `[n, side, side]`
/// - image: `[n, d, grid, grid]`; `grid` divides `side`
/// - output: `[n, 1, d]`
fn pool_sam(of_cells: Tensor<3>, image: Tensor<4>) -> Tensor<3> {
    let ([n, side, _], [_, _, grid, _]) = (of_cells.dims(), image.dims());
    let per_cell = side / grid;
    let of_cells = of_cells
        .reshape([n * grid, per_cell, grid, per_cell])
        .sum_dim(3)
        .sum_dim(1)
        .reshape([n, 1, grid * grid]);
    let image = to_channels_last(image).flatten::<3>(1, 2);
    matmul(mean_weights(of_cells), image)
}

/// Weights `[n, 1, cells]` whose sum is 1.
fn mean_weights(weights: Tensor<3>) -> Tensor<3> {
    let sum = weights.clone().sum_dim(2) + TINY;
    weights / sum
}

/// Where the cells of the masks lie in the photographs and in CLIP's square.
struct Geometry {
    /// `[n, side²]`, 1 for cells of the photograph.
    inside: Vec<f32>,
    /// Down and across, `[n, side, PLACES]` each: 1 for the position that a cell belongs to.
    places: [Vec<f32>; 2],
    /// `[n, side, grid]`, bilinear weights of CLIP's patches down.
    rows: Vec<f32>,
    /// The same across.
    columns: Vec<f32>,
}

impl Geometry {
    fn new(frames: &[PhotoFrame], side: usize, grid: usize) -> Self {
        let mut geometry = Self {
            inside: Vec::new(),
            places: [Vec::new(), Vec::new()],
            rows: Vec::new(),
            columns: Vec::new(),
        };
        for frame in frames {
            let (x, y) = (frame.x(), frame.y());
            let down: Vec<Option<f32>> = y.photo_shares_of_sam_cells(side).collect();
            let across: Vec<Option<f32>> = x.photo_shares_of_sam_cells(side).collect();
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
            geometry.rows.extend(y.sam_from_clip_weights(side, grid));
            geometry.columns.extend(x.sam_from_clip_weights(side, grid));
        }
        geometry
    }
}
