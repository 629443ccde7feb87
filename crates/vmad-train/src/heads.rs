//! Linear heads that only training has. They stand in for the pre-training that the paper's CLIP
//! and projector bring along (an extension of ours), and are thrown away.

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};
use vmad_model::nn::Linear;
use vmad_model::{Builder, Init, ModelError, VmadConfig};

use crate::loss::{cross_entropy, weighted_cross_entropy};
use crate::samples::{NORMAL_PATCH, PATCH_CLASSES, Truth, UNKNOWN_PATCH};
use crate::worlds::Worlds;

/// Weight of the object beside the defect kinds in the tokens' loss.
const OBJECT_SHARE: f64 = 0.3;

/// The heads.
#[derive(Module, Debug)]
pub struct Heads {
    patch: Linear,
    token: Linear,
    object: Linear,
}

impl Heads {
    /// Heads as wide as the model asks for.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, config: &VmadConfig) -> Result<Self, ModelError> {
        let (d_vision, d_text) = (config.clip.d_model, config.llm.d_model);
        let mut head = |name: &str, width: usize, classes: usize| {
            Linear::new(&mut b.at(name), width, classes, Init::Torch)
        };
        Ok(Self {
            patch: head("patch_head", d_vision, PATCH_CLASSES)?,
            token: head("token_head", d_text, PATCH_CLASSES)?,
            object: head("object_head", d_text, Worlds::N_OBJECTS)?,
        })
    }

    /// Logits of each patch's class.
    ///
    /// # Shapes
    /// - features: `[n, grid², d_vision]`, CLIP's last tap
    /// - output: `[n, grid², PATCH_CLASSES]`
    pub fn patch_classes(&self, features: Tensor<3>) -> Tensor<3> {
        self.patch.forward(features)
    }

    /// Logits of each visual token's class.
    ///
    /// # Shapes
    /// - visual: `[n, n_visual, d_text]`
    /// - output: `[n, n_visual, PATCH_CLASSES]`
    pub fn token_classes(&self, visual: Tensor<3>) -> Tensor<3> {
        self.token.forward(normed(visual))
    }

    /// Cross-entropy of the defect kind of each CLIP patch.
    ///
    /// # Shapes
    /// - features: `[n, grid², d_vision]`, CLIP's last tap
    pub fn patch_loss(&self, features: Tensor<3>, truths: &[&Truth]) -> Tensor<1> {
        let classes = truths
            .iter()
            .flat_map(|truth| truth.patches.iter().map(|class| i32::from(*class)));
        let logits = self.patch_classes(features).flatten::<2>(0, 1);
        balanced_cross_entropy(logits, classes.collect())
    }

    /// Cross-entropy of the defect kind of each visual token and of the object of them all, on
    /// tokens as the language model's first norm leaves them.
    ///
    /// # Shapes
    /// - visual: `[n, n_visual, d_text]`
    pub fn token_loss(&self, visual: Tensor<3>, truths: &[&Truth]) -> Tensor<1> {
        let [n, n_visual, d] = visual.dims();
        let device = visual.device();
        let side = n_visual.isqrt();
        let classes = truths
            .iter()
            .flat_map(|truth| coarser(&truth.patches, side));
        let logits = self.token_classes(visual.clone()).flatten::<2>(0, 1);
        let kinds = balanced_cross_entropy(logits, classes.collect());
        let objects = truths.iter().map(|truth| truth.object as i32).collect();
        let objects: Tensor<1, Int> = Tensor::from_data(TensorData::new(objects, [n]), &device);
        let mean = normed(visual).mean_dim(1).reshape([n, d]);
        kinds + cross_entropy(self.object.forward(mean), objects) * OBJECT_SHARE
    }
}

/// Tokens as the language model's first norm leaves them.
fn normed(visual: Tensor<3>) -> Tensor<3> {
    const EPS: f64 = 1e-6;
    let power = visual.clone().square().mean_dim(2) + EPS;
    visual / power.sqrt()
}

/// Cross-entropy in which the defective patches weigh as much as all others together, and unknown
/// ones nothing.
fn balanced_cross_entropy(logits: Tensor<2>, mut classes: Vec<i32>) -> Tensor<1> {
    let device = logits.device();
    let (normal, unknown) = (i32::from(NORMAL_PATCH), i32::from(UNKNOWN_PATCH));
    let m = classes.len();
    let count = |class: i32| classes.iter().filter(|c| **c == class).count();
    let (n_normal, n_unknown) = (count(normal), count(unknown));
    let weight_normal = 1.0 / n_normal.max(1) as f32;
    let weight_defective = 1.0 / (m - n_normal - n_unknown).max(1) as f32;
    let mut weights = Vec::with_capacity(m);
    for class in &mut classes {
        if *class == unknown {
            *class = normal;
            weights.push(0.0);
        } else if *class == normal {
            weights.push(weight_normal);
        } else {
            weights.push(weight_defective);
        }
    }
    let targets: Tensor<1, Int> = Tensor::from_data(TensorData::new(classes, [m]), &device);
    let weights = Tensor::from_data(TensorData::new(weights, [m]), &device);
    weighted_cross_entropy(logits, targets, weights)
}

/// Classes of a square of patches brought to `side`²: of each region the defect's, if it has one.
fn coarser(patches: &[u8], side: usize) -> Vec<i32> {
    let grid = patches.len().isqrt();
    let mut classes = vec![NORMAL_PATCH; side * side];
    for (i, class) in patches.iter().enumerate() {
        let (row, column) = (i / grid * side / grid, i % grid * side / grid);
        let kept = &mut classes[row * side + column];
        *kept = (*kept).max(*class);
    }
    classes.into_iter().map(i32::from).collect()
}
