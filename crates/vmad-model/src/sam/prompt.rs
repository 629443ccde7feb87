//! SAM's prompt encoder as VMAD uses it: the dense side only, since the sparse prompt is the
//! projected `[SEG]` state itself.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use vmad_kernels::matmul;

use crate::ModelError;
use crate::config::SamConfig;
use crate::nn::{Conv2d, ConvShape, LayerNorm, gelu};
use crate::weights::{Builder, Init};

/// SAM's `mask_downscaling`: a mask four times the grid's side becomes a dense prompt.
#[derive(Module, Debug)]
struct MaskDownscaling {
    conv1: Conv2d,
    norm1: LayerNorm,
    conv2: Conv2d,
    norm2: LayerNorm,
    conv3: Conv2d,
}

impl MaskDownscaling {
    fn new(b: &mut Builder, d: usize) -> Result<Self, ModelError> {
        let conv = |d_in, d_out, kernel| ConvShape {
            d_in,
            d_out,
            kernel,
            stride: kernel,
            padding: 0,
            groups: 1,
            bias: true,
        };
        // SAM's mask_in_chans is 16; the first convolution has a quarter of that.
        Ok(Self {
            conv1: Conv2d::new(&mut b.at(0), conv(1, 4, 2))?,
            norm1: LayerNorm::new(&mut b.at(1), 4, 1e-6)?,
            conv2: Conv2d::new(&mut b.at(3), conv(4, 16, 2))?,
            norm2: LayerNorm::new(&mut b.at(4), 16, 1e-6)?,
            conv3: Conv2d::new(&mut b.at(6), conv(16, d, 1))?,
        })
    }

    fn forward(&self, mask: Tensor<4>) -> Tensor<4> {
        let x = gelu(self.norm1.forward_image(self.conv1.forward(mask)));
        let x = gelu(self.norm2.forward_image(self.conv2.forward(x)));
        self.conv3.forward(x)
    }
}

/// The prompt encoder.
#[derive(Module, Debug)]
pub struct PromptEncoder {
    gaussian: Param<Tensor<2>>,
    no_mask: Param<Tensor<2>>,
    downscaling: Option<MaskDownscaling>,
    grid: usize,
}

impl PromptEncoder {
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, c: &SamConfig) -> Result<Self, ModelError> {
        let d = c.d_out;
        let gaussian = b.at("pe_layer").dense(
            "positional_encoding_gaussian_matrix",
            [2, d / 2],
            Init::Normal(1.0),
        )?;
        let no_mask = b
            .at("no_mask_embed")
            .dense("weight", [1, d], Init::Normal(0.02))?;
        let downscaling = if c.similarity_prompt {
            Some(MaskDownscaling::new(&mut b.at("mask_downscaling"), d)?)
        } else {
            None
        };
        Ok(Self {
            gaussian,
            no_mask,
            downscaling,
            grid: c.grid(),
        })
    }

    /// Sine-cosine encoding of the cell centres.
    ///
    /// # Shapes
    /// - output: `[1, d_out, grid, grid]`
    pub fn dense_pe(&self) -> Tensor<4> {
        let gaussian = self.gaussian.val();
        let [_, half] = gaussian.dims();
        let grid = self.grid;
        let centre = |i: usize| 2.0 * ((i as f32 + 0.5) / grid as f32) - 1.0;
        let centres: Vec<f32> = (0..grid)
            .flat_map(|row| (0..grid).flat_map(move |col| [centre(col), centre(row)]))
            .collect();
        let centres: Tensor<2> = Tensor::from_data(
            TensorData::new(centres, [grid * grid, 2]),
            &gaussian.device(),
        );
        let angle = matmul(centres, gaussian) * std::f64::consts::TAU; // [grid², half]
        Tensor::cat(vec![angle.clone().sin(), angle.cos()], 1)
            .transpose()
            .reshape([1, 2 * half, grid, grid])
    }

    /// The dense prompt: of `mask` if the model takes one and one is given, else "no mask".
    ///
    /// # Shapes
    /// - mask: `[batch, 1, 4·grid, 4·grid]`
    /// - output: `[batch or 1, d_out, grid, grid]`; the singleton form broadcasts
    pub fn dense(&self, mask: Option<Tensor<4>>) -> Tensor<4> {
        match (&self.downscaling, mask) {
            (Some(downscaling), Some(mask)) => downscaling.forward(mask),
            _ => {
                let no_mask = self.no_mask.val();
                let [_, d] = no_mask.dims();
                no_mask
                    .reshape([1, d, 1, 1])
                    .expand([1, d, self.grid, self.grid])
            }
        }
    }
}
