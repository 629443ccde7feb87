//! The parts of the objective: tensors while a step runs, numbers in its log.

use burn::tensor::Tensor;

use crate::TrainError;
use crate::config::TrainConfig;

/// A part of the objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossPart {
    /// Cross-entropy of the text.
    Text,
    /// Binary cross-entropy of the masks.
    Bce,
    /// DICE of the masks.
    Dice,
    /// Cross-entropy of the patches.
    Patch,
    /// Cross-entropy of the cells of SAM's embedding, and of whole defects there.
    Cell,
    /// Cross-entropy of the visual tokens.
    Token,
    /// Cross-entropy of whole defects.
    Kind,
    /// Cross-entropy of the defect kinds in the masks' evidence.
    Evidence,
    /// Cross-entropy of the kind that the criterion allows.
    Criterion,
    /// DSSL (18); its weight is `ablation.dssl.weight`.
    Dssl,
}

/// Number of [`LossPart`]s.
const N_PARTS: usize = LossPart::ALL.len();

impl LossPart {
    /// All parts in the order of the log.
    pub const ALL: [Self; 10] = [
        Self::Text,
        Self::Bce,
        Self::Dice,
        Self::Patch,
        Self::Cell,
        Self::Token,
        Self::Kind,
        Self::Evidence,
        Self::Criterion,
        Self::Dssl,
    ];

    /// Its name in the log and in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bce => "bce",
            Self::Dice => "dice",
            Self::Patch => "patch",
            Self::Cell => "cell",
            Self::Token => "token",
            Self::Kind => "kind",
            Self::Evidence => "evidence",
            Self::Criterion => "criterion",
            Self::Dssl => "dssl",
        }
    }

    fn weight(self, run: &TrainConfig) -> f64 {
        let weights = &run.loss;
        match self {
            Self::Text => weights.text,
            Self::Bce => weights.bce,
            Self::Dice => weights.dice,
            Self::Patch => weights.patch,
            Self::Cell => weights.cell,
            Self::Token => weights.token,
            Self::Kind => weights.kind,
            Self::Evidence => weights.evidence,
            Self::Criterion => weights.criterion,
            Self::Dssl => run.ablation.dssl.as_ref().map_or(0.0, |dssl| dssl.weight),
        }
    }
}

/// The parts of a step's loss, on the device. A part that a stage does not have is absent.
#[derive(Default)]
pub struct LossParts([Option<Tensor<1>>; N_PARTS]);

impl LossParts {
    /// Sets a part.
    pub fn set(&mut self, part: LossPart, value: Tensor<1>) {
        self.0[part as usize] = Some(value);
    }

    /// The objective, equations (6) and (7): the weighted sum, or `None` where nothing counts.
    #[must_use]
    pub fn total(&self, run: &TrainConfig) -> Option<Tensor<1>> {
        LossPart::ALL
            .into_iter()
            .filter_map(|part| {
                let weight = part.weight(run);
                let value = self.0[part as usize].clone().filter(|_| weight != 0.0)?;
                Some(value * weight)
            })
            .reduce(|sum, part| sum + part)
    }

    /// Reads the parts back.
    ///
    /// # Errors
    /// The device's.
    pub fn read(&self, run: &TrainConfig) -> Result<Losses, TrainError> {
        let mut losses = Losses::default();
        for part in LossPart::ALL {
            let Some(value) = &self.0[part as usize] else {
                continue;
            };
            let value = value.clone().into_data().iter::<f32>().next();
            let value = value.ok_or_else(|| TrainError::Readback("an empty loss".to_owned()))?;
            losses.parts[part as usize] = value;
            losses.total += part.weight(run) as f32 * value;
        }
        Ok(losses)
    }
}

/// The losses of a step, for the log.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Losses {
    /// Weighted sum.
    pub total: f32,
    parts: [f32; N_PARTS],
}

impl Losses {
    /// A part; 0 where the stage does not have it.
    #[must_use]
    pub fn part(&self, part: LossPart) -> f32 {
        self.parts[part as usize]
    }

    /// With `share` of `other` added.
    #[must_use]
    pub(crate) fn plus(mut self, other: &Self, share: f32) -> Self {
        self.total += share * other.total;
        for (sum, value) in self.parts.iter_mut().zip(other.parts) {
            *sum += share * value;
        }
        self
    }
}
