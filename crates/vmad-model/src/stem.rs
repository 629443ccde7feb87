//! Stems in place of a patch embedding, for both encoders. Options of ours
//! ([`crate::config::Stem`]): public checkpoints do not have them.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::ModelError;
use crate::config::Stem;
use crate::nn::{
    BatchNorm, Conv2d, ConvShape, LayerNorm, Linear, cut_patches, gelu, to_channels_last,
};
use crate::weights::{Builder, Init};

/// From pixels to patch features: a stem, if there is one, and the patch embedding.
#[derive(Module, Debug)]
pub struct PatchEmbed {
    conv: Option<ConvStem>,
    overlap: Option<OverlapStem>,
    projection: Linear,
    patch_size: usize,
}

/// What a [`PatchEmbed`] is made from.
#[derive(Clone, Copy, Debug)]
pub struct PatchShape {
    /// Which stem.
    pub stem: Stem,
    /// Side of a patch, pixels.
    pub patch_size: usize,
    /// Width of the patch features.
    pub d_model: usize,
    /// Epsilon of the stem's norms.
    pub eps: f64,
    /// Whether the patch embedding has a bias.
    pub bias: bool,
}

impl PatchEmbed {
    /// The patch embedding is called `projection`; the stem, if there is one, `stem`.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, projection: &str, shape: PatchShape) -> Result<Self, ModelError> {
        let PatchShape {
            stem,
            patch_size,
            d_model,
            eps,
            bias,
        } = shape;
        let conv = match stem {
            Stem::Conv => Some(ConvStem::new(&mut b.at("stem"), patch_size, d_model, eps)?),
            Stem::Patch | Stem::Overlap | Stem::OverlapBatch => None,
        };
        let overlap = match stem {
            Stem::Overlap | Stem::OverlapBatch => {
                Some(OverlapStem::new(&mut b.at("stem"), &shape)?)
            }
            Stem::Patch | Stem::Conv => None,
        };
        let mut b = b.at(projection);
        let projection = match stem {
            Stem::Patch => Linear::patches(&mut b, 3, patch_size, d_model, bias)?,
            Stem::Conv | Stem::Overlap | Stem::OverlapBatch => {
                Linear::pointwise(&mut b, d_model, d_model, bias)?
            }
        };
        Ok(Self {
            conv,
            overlap,
            projection,
            patch_size,
        })
    }

    /// # Shapes
    /// - pixels: `[batch, 3, side, side]`
    /// - output: `[batch, (side / patch_size)², d_model]`
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        self.projection.forward(match (&self.conv, &self.overlap) {
            (Some(stem), _) => stem.forward(pixels),
            (None, Some(stem)) => stem.forward(pixels),
            (None, None) => cut_patches(pixels, self.patch_size),
        })
    }

    /// With batch norms, where there are any, that have the statistics of these pictures.
    ///
    /// # Shapes
    /// - pixels: `[batch, 3, side, side]`
    #[must_use]
    pub fn settled(mut self, pixels: Tensor<4>) -> Self {
        self.overlap = self.overlap.map(|stem| stem.settled(pixels));
        self
    }
}

/// 3×3 convolutions of stride 2, each with channel norm and GELU, until a pixel is left of each
/// patch (Xiao et al. 2021). The width doubles from one to the next.
#[derive(Module, Debug)]
struct ConvStem {
    convs: Vec<Conv2d>,
    norms: Vec<LayerNorm>,
}

impl ConvStem {
    /// `patch_size` is a power of two, `d_model` a multiple of half of it
    /// ([`crate::VmadConfig::validate`]).
    ///
    /// # Errors
    /// As the weight source's.
    fn new(
        b: &mut Builder,
        patch_size: usize,
        d_model: usize,
        eps: f64,
    ) -> Result<Self, ModelError> {
        let n = patch_size.ilog2() as usize;
        let (mut convs, mut norms) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let mut d_in = 3;
        for i in 0..n {
            let d_out = d_model >> (n - 1 - i);
            let shape = ConvShape {
                d_in,
                d_out,
                kernel: 3,
                stride: 2,
                padding: 1,
                groups: 1,
                bias: false,
            };
            let mut stage = b.at(i);
            convs.push(Conv2d::new(&mut stage.at("conv"), shape)?);
            norms.push(LayerNorm::new(&mut stage.at("norm"), d_out, eps)?);
            d_in = d_out;
        }
        Ok(Self { convs, norms })
    }

    /// # Shapes
    /// - pixels: `[batch, 3, side, side]`
    /// - output: `[batch, (side / patch_size)², d_model]`
    fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        let image = self
            .convs
            .iter()
            .zip(&self.norms)
            .fold(pixels, |x, (conv, norm)| {
                gelu(norm.forward_image(conv.forward(x)))
            });
        to_channels_last(image).flatten(1, 2)
    }
}

/// Overlapping patches, merged step by step: each stage is a convolution whose kernel is twice its
/// stride, computed as one product over channels-last cells, with channel norm and GELU.
///
/// The first stage's stride is 4, the others' 2. Between the hierarchical MLP stem (Touvron et al.
/// 2022), whose patches do not overlap, and [`ConvStem`]: it sees across patch borders and costs a
/// fraction of the latter, since nothing runs at half the picture's resolution and nothing moves
/// between channels-first and channels-last.
#[derive(Module, Debug)]
struct OverlapStem {
    merges: Vec<Linear>,
    norms: Vec<CellNorm>,
}

/// What a stage's cells are normalised over.
#[derive(Module, Debug)]
enum CellNorm {
    Channels(LayerNorm),
    Batch(BatchNorm),
}

impl CellNorm {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Channels(norm) => norm.forward(x),
            Self::Batch(norm) => norm.forward(x),
        }
    }
}

/// Strides of the stages that leave a pixel of each patch; `None` where they cannot.
fn strides(patch_size: usize) -> Option<Vec<usize>> {
    (patch_size.is_power_of_two() && patch_size >= 4).then(|| {
        [4].into_iter()
            .chain(vec![2; patch_size.ilog2() as usize - 2])
            .collect()
    })
}

impl OverlapStem {
    /// `patch_size` is a power of two from 4 on, `d_model` a multiple of a quarter of it
    /// ([`crate::VmadConfig::validate`]).
    ///
    /// # Errors
    /// As the weight source's.
    fn new(b: &mut Builder, shape: &PatchShape) -> Result<Self, ModelError> {
        let PatchShape {
            patch_size,
            d_model,
            eps,
            ..
        } = *shape;
        let strides = strides(patch_size).unwrap_or_default();
        let (mut merges, mut norms) = (Vec::new(), Vec::new());
        let mut d_in = 3;
        for (i, stride) in strides.iter().enumerate() {
            let d_out = d_model >> (strides.len() - 1 - i);
            let mut stage = b.at(i);
            let width = 4 * stride * stride * d_in;
            merges.push(Linear::new(
                &mut stage.at("merge"),
                width,
                d_out,
                Init::Torch,
            )?);
            let mut norm = stage.at("norm");
            norms.push(match shape.stem {
                Stem::OverlapBatch => CellNorm::Batch(BatchNorm::new(&mut norm, d_out, eps)?),
                _ => CellNorm::Channels(LayerNorm::new(&mut norm, d_out, eps)?),
            });
            d_in = d_out;
        }
        Ok(Self { merges, norms })
    }

    /// # Shapes
    /// - pixels: `[batch, 3, side, side]`
    /// - output: `[batch, (side / patch_size)², d_model]`
    fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        let mut x = to_channels_last(pixels);
        for (i, (merge, norm)) in self.merges.iter().zip(&self.norms).enumerate() {
            let stride = if i == 0 { 4 } else { 2 };
            x = gelu(norm.forward(merge.forward(neighbourhoods(x, stride))));
        }
        x.flatten(1, 2)
    }

    /// As [`PatchEmbed::settled`].
    fn settled(mut self, pixels: Tensor<4>) -> Self {
        let mut x = to_channels_last(pixels);
        let mut norms = Vec::with_capacity(self.norms.len());
        for (i, (merge, norm)) in self.merges.iter().zip(self.norms).enumerate() {
            let stride = if i == 0 { 4 } else { 2 };
            let cells = merge.forward(neighbourhoods(x, stride));
            let norm = match norm {
                CellNorm::Batch(norm) => CellNorm::Batch(norm.settled(cells.clone())),
                CellNorm::Channels(norm) => CellNorm::Channels(norm),
            };
            x = gelu(norm.forward(cells));
            norms.push(norm);
        }
        self.norms = norms;
        self
    }
}

/// For each cell of `stride`² pixels the four blocks that cover the cell and half a cell around it.
///
/// # Shapes
/// - x: `[batch, height, width, d]`
/// - output: `[batch, height / stride, width / stride, 4·stride²·d]`
fn neighbourhoods(x: Tensor<4>, stride: usize) -> Tensor<4> {
    let [batch, height, width, d] = x.dims();
    let (rows, columns) = (height / stride, width / stride);
    let device = x.device();
    let border = stride / 2;
    let above = || Tensor::zeros([batch, border, width, d], &device);
    let x = Tensor::cat(vec![above(), x, above()], 1);
    let beside = || Tensor::zeros([batch, height + stride, border, d], &device);
    let x = Tensor::cat(vec![beside(), x, beside()], 2);
    let blocks = x
        .reshape([batch, rows + 1, stride, columns + 1, stride, d])
        .permute([0, 1, 3, 2, 4, 5]) // [batch, rows + 1, columns + 1, stride, stride, d]
        .reshape([batch, rows + 1, columns + 1, stride * stride * d]);
    let corner = |row: usize, column: usize| {
        blocks
            .clone()
            .narrow(1, row, rows)
            .narrow(2, column, columns)
    };
    Tensor::cat(
        vec![corner(0, 0), corner(0, 1), corner(1, 0), corner(1, 1)],
        3,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    /// Against the definition: entry (block row, block column, row, column) of a cell is the pixel
    /// half a cell above and left of its corner, and zero outside the picture.
    #[test]
    fn neighbourhoods_are_the_pixels_around_a_cell() {
        for (stride, rows, columns, d) in [(2, 3, 5, 1), (4, 2, 3, 3)] {
            let (height, width) = (rows * stride, columns * stride);
            let values: Vec<f32> = (0..height * width * d).map(|i| i as f32 + 1.0).collect();
            let x = TensorData::new(values.clone(), [1, height, width, d]);
            let x = Tensor::<4>::from_data(x, &Device::flex());
            let out: Vec<f32> = neighbourhoods(x, stride).into_data().iter().collect();
            let mut expected = Vec::new();
            for cell in 0..rows * columns {
                for block in 0..4 {
                    for inner in 0..stride * stride {
                        let at = |cell: usize, block: usize, inner: usize| {
                            ((cell + block) * stride + inner).checked_sub(stride / 2)
                        };
                        let y = at(cell / columns, block / 2, inner / stride);
                        let x = at(cell % columns, block % 2, inner % stride);
                        let pixel = match (y, x) {
                            (Some(y), Some(x)) if y < height && x < width => {
                                Some((y * width + x) * d)
                            }
                            _ => None,
                        };
                        expected.extend((0..d).map(|c| pixel.map_or(0.0, |p| values[p + c])));
                    }
                }
            }
            assert_eq!(out, expected, "stride {stride}");
        }
    }
}
