//! The stages of a call, decided before it starts.

use vmad_model::VmadConfig;
use vmad_model::config::SimilaritySource;

use crate::{Ask, Stage};

/// The stages that a call runs, in order. The total of its progress events is their number.
///
/// A `[SEG]` that the model writes into its answer adds stages that no plan can know: its mask, the
/// rest of the answer and a new score. They follow the planned stages and leave the progress at its
/// total.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallPlan {
    stages: Vec<Stage>,
}

impl CallPlan {
    /// The plan of [`crate::Engine::inspect`].
    pub fn inspect(config: &VmadConfig, ask: &Ask) -> Self {
        let mut stages = vec![Stage::Decode];
        if config.needs_prior() {
            stages.push(Stage::Prior);
        }
        stages.extend([Stage::Clip, Stage::Projector]);
        if config.sam_compares(SimilaritySource::Clip) {
            stages.push(Stage::Prior);
        }
        stages.extend([Stage::Sam, Stage::Llm, Stage::Mask, Stage::Score]);
        match ask {
            Ask::None => {}
            // The answer continues the forced prompt, which is in the cache already.
            Ask::Description | Ask::Impact | Ask::Suggestion => stages.push(Stage::Generate),
            Ask::Free(_) => stages.extend([Stage::Llm, Stage::Generate]),
        }
        Self { stages }
    }

    /// The plan of [`crate::Engine::ask`].
    pub fn ask() -> Self {
        Self {
            stages: vec![Stage::Llm, Stage::Generate],
        }
    }

    /// The planned stages, in order.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }
}
