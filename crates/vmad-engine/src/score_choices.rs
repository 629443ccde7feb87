//! Multiple-choice questions, scored by likelihood.

use vmad_model::llama::KvCache;

use crate::language_context::LanguageContext;
use crate::readback::read;
use crate::session::Session;
use crate::{CancelToken, EngineError, Host, Stage};

/// Maximum number of choices of one question.
const MAX_OPTIONS: usize = 64;

/// The mean log-likelihood per token of each option as the answer to `question`. The question runs
/// once; each option continues from its keys and values. The caller rolls the session back.
///
/// # Errors
/// As [`crate::Engine::score_choices`].
pub(crate) async fn score_choices(
    lm: &LanguageContext<'_>,
    session: &mut Session,
    question: &str,
    options: &[String],
    host: &dyn Host,
    cancel: &CancelToken,
) -> Result<Vec<f32>, EngineError> {
    let question = lm.tokenizer.question(question)?;
    let answers = options
        .iter()
        .map(|option| answer_ids(lm, &question, option))
        .collect::<Result<Vec<_>, _>>()?;
    let ids = lm.follow_up_ids(&session.pending, &question)?;
    let longest = answers.iter().map(Vec::len).max().unwrap_or(0);
    lm.check_room(session.cache.len() + ids.len() + longest)?;

    let conditioning = session.seg_conditioning.as_ref();
    let hidden = lm.forward_tokens(&ids, conditioning, &mut session.cache)?;
    let logits = read(Stage::Llm, lm.last_output(hidden).logits).await?;
    let first_log_probs = log_softmax(&logits);
    let mut scores = Vec::with_capacity(answers.len());
    for answer in answers.iter().filter(|answer| !answer.is_empty()) {
        host.yield_now().await;
        cancel.check()?;
        let sum = log_likelihood(lm, &first_log_probs, answer, &mut session.cache).await?;
        scores.push((sum / answer.len() as f64) as f32);
    }
    Ok(scores)
}

/// Checks the number of options.
pub(crate) fn check_options(options: &[String]) -> Result<(), EngineError> {
    if options.is_empty() || options.len() > MAX_OPTIONS {
        return Err(EngineError::BadQuery {
            field: "options",
            value: options.len().to_string(),
            rule: "between 1 and 64 are allowed",
        });
    }
    Ok(())
}

/// The log-likelihood of an answer after the question in the cache, which is left as it was.
/// `first_log_probs` predicts the answer's first token, `[vocab_size]`.
async fn log_likelihood(
    lm: &LanguageContext<'_>,
    first_log_probs: &[f64],
    answer: &[i32],
    cache: &mut KvCache,
) -> Result<f64, EngineError> {
    let Some((first, rest)) = answer.split_first() else {
        return Ok(0.0);
    };
    let mut sum = log_prob_of(first_log_probs, *first)?;
    if rest.is_empty() {
        return Ok(sum);
    }
    let n_question = cache.len();
    // The last token predicts nothing that is needed.
    let inputs = &answer[..rest.len()];
    let hidden = lm.forward_tokens(inputs, None, cache)?;
    let logits = lm.logits(hidden); // [n, vocab_size]
    let [_, vocab_size] = logits.dims();
    let logits = read(Stage::Llm, logits).await?;
    for (row, id) in logits.chunks_exact(vocab_size).zip(rest) {
        sum += log_prob_of(&log_softmax(row), *id)?;
    }
    cache.truncate(n_question);
    Ok(sum)
}

/// Ids of an answer after its question, encoded as in training.
fn answer_ids(
    lm: &LanguageContext<'_>,
    question: &str,
    option: &str,
) -> Result<Vec<i32>, EngineError> {
    let option = lm.tokenizer.sanitize_user_text(option);
    if option.trim().is_empty() {
        return Err(EngineError::BadQuery {
            field: "options",
            value: option,
            rule: "an option must have words",
        });
    }
    let turn = lm.conversation.follow_up(question);
    let prompt = lm.tokenizer.encode(&turn, false)?;
    let mut ids = lm.tokenizer.encode(&format!("{turn} {option}"), false)?;
    if ids.starts_with(&prompt) {
        ids.drain(..prompt.len());
    } else {
        // The vocabulary joins the end of the question and the start of the answer in one token,
        // which generation after the question cannot produce.
        ids = lm.tokenizer.encode(&option, false)?;
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

fn log_prob_of(log_probs: &[f64], id: i32) -> Result<f64, EngineError> {
    usize::try_from(id)
        .ok()
        .and_then(|id| log_probs.get(id).copied())
        .ok_or(EngineError::Vocabulary {
            tokenizer: usize::try_from(id).unwrap_or(0) + 1,
            model: log_probs.len(),
        })
}
