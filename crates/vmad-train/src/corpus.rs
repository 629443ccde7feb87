//! The texts that a tokenizer is trained on.

use rayon::prelude::*;

use crate::TrainError;
use crate::config::TrainConfig;
use crate::object_names::{MODIFIERS, NOUNS};
use crate::questions::corpus_texts;
use crate::worlds::{Purpose, Worlds};

/// Scenes whose texts the tokenizer is trained on.
const N_SCENES: usize = 1500;
/// Their side, pixels: only their texts are used.
const SCENE_SIZE: u32 = 64;

/// The conversation frame, questions, object names, and texts of the run's scenes. It has nothing of the
/// categories that training does not see.
pub fn corpus(config: &TrainConfig) -> Result<Vec<String>, TrainError> {
    let frame = [
        config.conversation.system.clone(),
        format!(
            "{}: {}:",
            config.conversation.user, config.conversation.assistant
        ),
        config.templates.segment.clone(),
        config.templates.segment_answer.clone(),
        config.templates.queries.description.clone(),
        config.templates.queries.impact.clone(),
        config.templates.queries.suggestion.clone(),
        config.templates.answer_prefix.clone(),
    ];
    let names = NOUNS.iter().chain(&MODIFIERS).map(|&text| text.to_owned());
    let worlds = Worlds::new(config, Purpose::Train)?;
    let n_scenes = N_SCENES.min(config.data.pool);
    let texts = (0..n_scenes).into_par_iter().map(|index| {
        let sample = worlds.scene(index, SCENE_SIZE)?;
        let answers = sample.qa.into_iter().map(|qa| qa.answer);
        Ok(answers
            .chain([sample.object, sample.normal_description])
            .collect())
    });
    let texts: Vec<Vec<String>> = texts.collect::<Result<_, TrainError>>()?;
    let fixed = frame.into_iter().chain(corpus_texts()).chain(names);
    Ok(fixed.chain(texts.into_iter().flatten()).collect())
}
