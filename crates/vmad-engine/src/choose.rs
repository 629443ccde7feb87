//! Questions with given choices, decided by likelihood and not by what the model happens to write.

use std::rc::Rc;

use crate::pace::read;
use crate::session::follow_up_ids;
use crate::speech::Brain;
use crate::{CancelToken, Engine, EngineError, Stage};

/// Most choices of one question.
const MAX_OPTIONS: usize = 64;

impl Engine {
    /// How likely each of `options` is as the answer to a question about the photograph that was
    /// inspected last: the mean of ln p over its tokens, at most 0.
    ///
    /// The question is asked as [`Self::ask`] would ask it now, after all that was said; right after
    /// an inspection without words it is the first one about a fresh photograph. It is computed once
    /// and each option goes on from its keys and values. The conversation is left as it was.
    ///
    /// # Errors
    /// Without a photograph, with an empty question or option, with no option or more than 64, where
    /// the context is full, and [`EngineError::Cancelled`].
    pub async fn choose(
        &mut self,
        question: &str,
        options: &[String],
        cancel: &CancelToken,
    ) -> Result<Vec<f32>, EngineError> {
        self.brain_and_session()?.1.roll_back();
        let result = self.weigh_options(question, options, cancel).await;
        if let Some(session) = &mut self.session {
            session.roll_back();
        }
        result
    }

    async fn weigh_options(
        &mut self,
        question: &str,
        options: &[String],
        cancel: &CancelToken,
    ) -> Result<Vec<f32>, EngineError> {
        if options.is_empty() || options.len() > MAX_OPTIONS {
            return Err(EngineError::BadQuery {
                field: "options",
                value: options.len().to_string(),
                rule: "between 1 and 64 are allowed",
            });
        }
        let host = Rc::clone(&self.host);
        let question = self.tokenizer.question(question)?;
        let (brain, session) = self.brain_and_session()?;
        let answers = options
            .iter()
            .map(|option| answer_ids(&brain, &question, option))
            .collect::<Result<Vec<_>, _>>()?;
        let ids = follow_up_ids(&brain, &session.pending, &question)?;
        let longest = answers.iter().map(Vec::len).max().unwrap_or(0);
        brain.check_room(session.cache.len() + ids.len() + longest)?;

        let hidden = brain.hear(&ids, session.told.as_ref(), &mut session.cache)?;
        let first = log_softmax(&read(Stage::Llm, brain.stand(hidden).logits).await?);
        let asked = session.cache.len();
        let mut likelihoods = Vec::with_capacity(answers.len());
        for answer in &answers {
            host.yield_now().await;
            cancel.check()?;
            let Some((head, rest)) = answer.split_first() else {
                continue;
            };
            let mut sum = of_token(&first, *head)?;
            if !rest.is_empty() {
                // The last token predicts nothing that is asked for.
                let heard = &answer[..rest.len()];
                let hidden = brain.hear(heard, None, &mut session.cache)?;
                let [_, n, d_text] = hidden.dims();
                let logits = brain.model.llm.logits(hidden.reshape([n, d_text]));
                let [_, vocab_size] = logits.dims();
                let logits = read(Stage::Llm, logits).await?;
                for (row, id) in logits.chunks_exact(vocab_size).zip(rest) {
                    sum += of_token(&log_softmax(row), *id)?;
                }
                session.cache.truncate(asked);
            }
            likelihoods.push((sum / answer.len() as f64) as f32);
        }
        Ok(likelihoods)
    }
}

/// Ids of an answer where it follows on its question, as training encodes it.
fn answer_ids(brain: &Brain<'_>, question: &str, option: &str) -> Result<Vec<i32>, EngineError> {
    let option = brain.tokenizer.sanitize_user_text(option);
    if option.trim().is_empty() {
        return Err(EngineError::BadQuery {
            field: "options",
            value: option,
            rule: "an option must have words",
        });
    }
    let turn = brain.conversation.follow_up(question);
    let prompt = brain.tokenizer.encode(&turn, false)?;
    let mut ids = brain.tokenizer.encode(&format!("{turn} {option}"), false)?;
    if ids.starts_with(&prompt) {
        ids.drain(..prompt.len());
    } else {
        // A vocabulary with tokens over the border of two words: generation could not say those.
        ids = brain.tokenizer.encode(&option, false)?;
    }
    Ok(ids)
}

/// ln p of each token, from its logits.
fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let above = |logit: f32| f64::from(logit) - f64::from(highest);
    let sum: f64 = logits.iter().map(|&logit| above(logit).exp()).sum();
    logits
        .iter()
        .map(|&logit| above(logit) - sum.ln())
        .collect()
}

fn of_token(log_p: &[f64], id: i32) -> Result<f64, EngineError> {
    usize::try_from(id)
        .ok()
        .and_then(|id| log_p.get(id).copied())
        .ok_or(EngineError::Vocabulary {
            tokenizer: usize::try_from(id).unwrap_or(0) + 1,
            model: log_p.len(),
        })
}
