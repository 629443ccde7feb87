//! Linear heads that only training has, for auxiliary losses (an extension of ours). They stand in for the
//! pre-training of the paper's CLIP and projector, and are not exported.

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};
use vmad_model::nn::{Linear, to_channels_last};
use vmad_model::{Builder, Init, ModelError, VmadConfig};

use crate::config::{Stage, TrainConfig};
use crate::loss_functions::{cross_entropy, weighted_cross_entropy};
use crate::patch_classes::{
    NORMAL_PATCH, PATCH_CLASSES, UNKNOWN_PATCH, cells_by_kind, downsampled,
};
use crate::scene_embedding::SceneEmbedding;
use crate::targets::Targets;
use crate::worlds::Worlds;

/// Weight of the object beside the defect kinds in the tokens' loss.
const OBJECT_SHARE: f64 = 0.3;

/// The heads. Checkpoints contain the names of the fields.
#[derive(Module, Debug)]
pub struct TrainHeads {
    patch: Linear,
    cell: Linear,
    token: Linear,
    object: Linear,
    evidence: Linear,
    criterion: Linear,
    facts: SceneEmbedding,
}

impl TrainHeads {
    /// TrainHeads as wide as the model asks for.
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
            cell: head("cell_head", config.sam.d_out, PATCH_CLASSES)?,
            token: head("token_head", d_text, PATCH_CLASSES)?,
            object: head("object_head", d_text, Worlds::N_OBJECTS)?,
            evidence: head("evidence_head", d_text, PATCH_CLASSES)?,
            criterion: head("criterion_head", d_text, PATCH_CLASSES)?,
            facts: SceneEmbedding::new(&mut b.at("facts"), config)?,
        })
    }

    /// The heads with those that `run` has no loss for frozen.
    #[must_use]
    pub fn for_run(mut self, run: &TrainConfig) -> Self {
        if !run.learns_patches() {
            self.patch = self.patch.no_grad();
        }
        if run.loss.cell == 0.0 {
            self.cell = self.cell.no_grad();
        }
        if !run.learns_tokens() {
            self.token = self.token.no_grad();
        }
        if !run.learns_tokens() || run.loss.token == 0.0 {
            self.object = self.object.no_grad();
        }
        if run.loss.evidence == 0.0 {
            self.evidence = self.evidence.no_grad();
        }
        if run.loss.criterion == 0.0 {
            self.criterion = self.criterion.no_grad();
        }
        if run.stage != Stage::Language {
            self.facts = self.facts.no_grad();
        }
        self
    }

    /// The embedding that replaces pictures in the language stage.
    pub fn scene_embedding(&self) -> &SceneEmbedding {
        &self.facts
    }

    /// Logits of each patch's class.
    ///
    /// # Shapes
    /// - features: `[n, grid², d_vision]`, CLIP's last tap
    /// - output: `[n, grid², PATCH_CLASSES]`
    pub fn patch_classes(&self, features: Tensor<3>) -> Tensor<3> {
        self.patch.forward(features)
    }

    /// Logits of the class of each cell of SAM's embedding.
    ///
    /// # Shapes
    /// - image: `[n, d_out, grid, grid]`
    /// - output: `[n, grid², PATCH_CLASSES]`
    pub fn cell_classes(&self, image: Tensor<4>) -> Tensor<3> {
        self.cell
            .forward(to_channels_last(image).flatten::<3>(1, 2))
    }

    /// Cross-entropy of the class of each cell of SAM's embedding, and of whole defects.
    ///
    /// # Shapes
    /// - image: `[n, d_out, grid, grid]`
    pub fn cell_loss(&self, image: Tensor<4>, targets: &[&Targets]) -> Tensor<1> {
        let logits = self.cell_classes(image);
        let classes = |targets: &&Targets| targets.cells.clone();
        let classes: Vec<Vec<u8>> = targets.iter().map(classes).collect();
        let classes: Vec<&[u8]> = classes.iter().map(Vec::as_slice).collect();
        let whole = kind_loss(logits.clone(), &classes);
        let cells = patch_loss(logits, &classes);
        match whole {
            Some(whole) => cells + whole,
            None => cells,
        }
    }

    /// Logits of each visual token's class.
    ///
    /// # Shapes
    /// - visual: `[n, n_visual, d_text]`
    /// - output: `[n, n_visual, PATCH_CLASSES]`
    pub fn token_classes(&self, visual: Tensor<3>) -> Tensor<3> {
        self.token.forward(normed(visual))
    }

    /// Cross-entropy of the defect kind of each visual token and of the picture's object, on
    /// RMS-normalised tokens.
    ///
    /// # Shapes
    /// - visual: `[n, n_visual, d_text]`
    /// - logits: `[n, n_visual, PATCH_CLASSES]`
    pub fn token_loss(
        &self,
        visual: Tensor<3>,
        logits: Tensor<3>,
        targets: &[&Targets],
    ) -> Tensor<1> {
        let [n, n_visual, d] = visual.dims();
        let device = visual.device();
        let side = n_visual.isqrt();
        let classes = targets
            .iter()
            .flat_map(|targets| downsampled(&targets.patches, side));
        let kinds = balanced_cross_entropy(logits.flatten::<2>(0, 1), classes.collect());
        let objects = targets
            .iter()
            .map(|targets| targets.object as i32)
            .collect();
        let objects: Tensor<1, Int> = Tensor::from_data(TensorData::new(objects, [n]), &device);
        let mean = normed(visual).mean_dim(1).reshape([n, d]);
        kinds + cross_entropy(self.object.forward(mean), objects) * OBJECT_SHARE
    }

    /// Cross-entropy of the class of each mask's defect, from its evidence. `None` where no class is known.
    ///
    /// # Shapes
    /// - evidence: `[n, d_text]`
    pub fn evidence_loss(&self, evidence: Tensor<2>, classes: &[u8]) -> Option<Tensor<1>> {
        let evidence = normed(evidence.unsqueeze_dim(1)).squeeze_dim::<2>(1);
        known_cross_entropy(self.evidence.forward(evidence), classes)
    }

    /// Cross-entropy of the kind of defect that each conversation allows, or of none, from the hidden state
    /// that prompts its mask. `None` where no class is known.
    ///
    /// # Shapes
    /// - states: `[n, d_text]`, after the language model's last norm
    pub fn criterion_loss(&self, states: Tensor<2>, classes: &[u8]) -> Option<Tensor<1>> {
        known_cross_entropy(self.criterion.forward(states), classes)
    }
}

/// Cross-entropy over the rows whose class is known. `None` where none is.
///
/// # Shapes
/// - logits: `[n, PATCH_CLASSES]`
fn known_cross_entropy(logits: Tensor<2>, classes: &[u8]) -> Option<Tensor<1>> {
    let device = logits.device();
    let known = (0_i32..).zip(classes);
    let known = known.filter(|(_, class)| **class != UNKNOWN_PATCH);
    let (rows, classes): (Vec<i32>, Vec<i32>) =
        known.map(|(row, class)| (row, i32::from(*class))).unzip();
    let m = rows.len();
    if m == 0 {
        return None;
    }
    let ints = |values| Tensor::<1, Int>::from_data(TensorData::new(values, [m]), &device);
    Some(cross_entropy(logits.select(0, ints(rows)), ints(classes)))
}

/// Cross-entropy of the defect kind of each CLIP patch.
///
/// # Shapes
/// - logits: `[n, grid², PATCH_CLASSES]`
/// - pictures: the classes of each picture's patches
pub fn patch_loss(logits: Tensor<3>, pictures: &[&[u8]]) -> Tensor<1> {
    let classes = pictures
        .iter()
        .flat_map(|patches| patches.iter().map(|class| i32::from(*class)));
    balanced_cross_entropy(logits.flatten::<2>(0, 1), classes.collect())
}

/// Cross-entropy of the kind of each defect, from the mean of the logits of all patches or tokens
/// that it covers. `None` where no kind is known.
///
/// # Shapes
/// - logits: `[n, cells, PATCH_CLASSES]`
/// - pictures: the classes of each picture's patches
pub fn kind_loss(logits: Tensor<3>, pictures: &[&[u8]]) -> Option<Tensor<1>> {
    let [_, n_cells, _] = logits.dims();
    let device = logits.device();
    let (mut rows, mut kinds, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for (i, patches) in (0_i32..).zip(pictures) {
        for (kind, cells) in cells_by_kind(patches, n_cells.isqrt()) {
            let share = 1.0 / cells.len() as f32;
            let mut of_cells = vec![0.0; n_cells];
            cells.iter().for_each(|cell| of_cells[*cell] = share);
            weights.extend(of_cells);
            rows.push(i);
            kinds.push(kind.id() as i32);
        }
    }
    let m = kinds.len();
    if m == 0 {
        return None;
    }
    let rows: Tensor<1, Int> = Tensor::from_data(TensorData::new(rows, [m]), &device);
    let kinds: Tensor<1, Int> = Tensor::from_data(TensorData::new(kinds, [m]), &device);
    let weights: Tensor<3> = Tensor::from_data(TensorData::new(weights, [m, n_cells, 1]), &device);
    let means = (logits.select(0, rows) * weights).sum_dim(1);
    let of_kinds = means.squeeze_dim::<2>(1).narrow(1, 1, PATCH_CLASSES - 1);
    Some(cross_entropy(of_kinds, kinds))
}

/// RMS-normalised tokens, as the language model's first norm makes them but for its weight.
fn normed(visual: Tensor<3>) -> Tensor<3> {
    const EPS: f64 = 1e-6;
    let power = visual.clone().square().mean_dim(2) + EPS;
    visual / power.sqrt()
}

/// Cross-entropy with the same total weight for defective and for normal patches, and none for unknown
/// ones.
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

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// Logits of `n` pictures of four cells, all zero but for those named: picture, cell, class, logit.
    fn logits(n: usize, named: &[(usize, usize, usize, f32)]) -> Tensor<3> {
        let mut values = vec![0.0; n * 4 * PATCH_CLASSES];
        for (picture, cell, class, logit) in named {
            values[(picture * 4 + cell) * PATCH_CLASSES + class] = *logit;
        }
        Tensor::from_data(
            TensorData::new(values, [n, 4, PATCH_CLASSES]),
            &Device::flex(),
        )
    }

    #[test]
    fn the_kind_of_a_defect_is_read_from_all_its_cells() {
        // A crack (class 2) on two cells, one of them with a logit for it; a normal part; unknown kinds.
        let pictures: [&[u8]; 3] = [&[0, 2, 2, 0], &[0; 4], &[UNKNOWN_PATCH; 4]];
        // Logits for normal, or of cells without the defect, do not count.
        let logits = logits(3, &[(0, 1, 2, 3.0), (0, 1, 0, 9.0), (0, 0, 5, 9.0)]);
        let mean = 3.0_f32 / 2.0;
        let expected = (mean.exp() + 14.0).ln() - mean;
        let loss = kind_loss(logits, &pictures).map(|loss| loss.into_scalar::<f32>());
        assert!(
            loss.is_some_and(|loss| (loss - expected).abs() < 1e-5),
            "{loss:?}"
        );
    }

    #[test]
    fn without_a_known_defect_there_is_no_loss() {
        let pictures: [&[u8]; 2] = [&[0; 4], &[UNKNOWN_PATCH; 4]];
        assert!(kind_loss(logits(2, &[]), &pictures).is_none());
    }
}
