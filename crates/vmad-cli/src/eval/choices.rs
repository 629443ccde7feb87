//! Multiple-choice questions, answered by likelihood.

use std::path::Path;

use anyhow::{Context, Result, bail};
use vmad_data::{Mmad, read_mmad};
use vmad_engine::{CancelToken, Engine, Query};
use vmad_eval::{Choice, ChoiceReport, choice_report};

use super::rows::ChoiceRow;
use crate::files::read_photo;
use crate::interrupt::Stop;
use crate::{progress, session};

/// The questions of a file, about its first `limit` images.
pub(super) fn questions(file: &Path, limit: Option<u32>) -> Result<Mmad> {
    let mut mmad = read_mmad(file)?;
    if let Some(limit) = limit {
        mmad.images.truncate(limit as usize);
    }
    if mmad.images.iter().all(|image| image.questions.is_empty()) {
        bail!("{} has no questions that can be asked", file.display());
    }
    Ok(mmad)
}

/// Inspects each photograph anew and answers its questions. The query does not name the object, since
/// some questions ask for it. The answer is the option of highest likelihood.
pub(super) fn answer(
    engine: &mut Engine,
    mmad: &Mmad,
    stop: &Stop,
) -> Result<(ChoiceReport, Vec<ChoiceRow>)> {
    let bar = progress::count(mmad.images.len() as u64, "questions with choices");
    let (mut choices, mut rows) = (Vec::new(), Vec::new());
    for image in &mmad.images {
        if stop.is_requested() {
            bail!(
                "stopped after the questions about {} of {} photographs",
                bar.position(),
                mmad.images.len()
            );
        }
        let about = || image.path.display().to_string();
        let photo = read_photo(&image.path)?;
        let cancel = CancelToken::new();
        session::finish(engine.inspect(photo, Query::default(), &cancel)).with_context(about)?;
        for question in &image.questions {
            let chosen = engine.score_choices(question.text(), question.options(), &cancel);
            let likelihoods = pollster::block_on(chosen)
                .with_context(|| format!("{}: {:?}", about(), question.text()))?;
            let right = question.right();
            let chosen = likeliest(&likelihoods);
            choices.push(Choice {
                set: image.set().to_owned(),
                subtask: question.subtask().name().to_owned(),
                n_options: question.options().len(),
                right: question.options()[right].trim().to_lowercase(),
                is_right: chosen == right,
            });
            rows.push(ChoiceRow {
                image: image.name.clone(),
                subtask: question.subtask().name(),
                question: question.text().to_owned(),
                options: question.options().to_vec(),
                right,
                chosen,
                likelihoods,
            });
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok((choice_report(&choices, mmad.n_left_out), rows))
}

/// The first of the highest.
fn likeliest(likelihoods: &[f32]) -> usize {
    let mut best = 0;
    for (i, value) in likelihoods.iter().enumerate() {
        if *value > likelihoods[best] {
            best = i;
        }
    }
    best
}
