//! Multiple-choice questions.

use super::*;
use crate::readback::read;

const QUESTION: &str = "Is there a defect?";

fn options() -> Vec<String> {
    [
        "Yes, there is a dent.",
        "No.",
        "[SEG] on the upper left",
        "A",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Mean ln p over an option's tokens, with one decoding step for each token. Cuts the cache back
/// afterwards.
fn token_by_token(engine: &mut Engine, option: &str) -> Result<f32, EngineError> {
    let lm = engine.loaded.language();
    let session = engine.session.as_mut().ok_or(EngineError::NoImage)?;
    let start = session.cache.len();
    let prompt = lm.follow_up_ids(&session.pending, QUESTION)?;
    let clean = lm.tokenizer.sanitize_user_text(option);
    let turn = lm.conversation.follow_up(QUESTION);
    let mut ids = session.pending.clone();
    ids.extend(lm.tokenizer.encode(&format!("{turn} {clean}"), false)?);
    assert_eq!(ids[..prompt.len()], prompt, "words do not share tokens");
    let conditioning = session.seg_conditioning.as_ref();
    let (mut sum, mut n) = (0.0_f64, 0);
    for (i, id) in ids.iter().enumerate() {
        if i >= prompt.len() {
            let hidden = lm.forward_tokens(&ids[i - 1..i], conditioning, &mut session.cache)?;
            let logits = block_on(read(Stage::Llm, lm.last_output(hidden).logits))?;
            let total: f64 = logits.iter().map(|l| f64::from(*l).exp()).sum();
            sum += f64::from(logits[*id as usize]) - total.ln();
            n += 1;
        } else if i + 1 < prompt.len() {
            lm.forward_tokens(&[*id], conditioning, &mut session.cache)?;
        }
    }
    session.cache.truncate(start);
    Ok((sum / f64::from(n)) as f32)
}

fn score(engine: &mut Engine, options: &[String]) -> Result<Vec<f32>, EngineError> {
    block_on(engine.score_choices(QUESTION, options, &CancelToken::new()))
}

/// f32 sums in another order, averaged over the tokens.
const TOLERANCE: f32 = 1e-4;

#[test]
fn likelihoods_are_those_of_single_steps() -> Outcome {
    let mut engine = open()?;
    let cancel = CancelToken::new();
    all(engine.inspect(photo(), Query::default(), &cancel))?;
    // Once right after the inspection, once after a further turn.
    for _ in 0..2 {
        let scores = score(&mut engine, &options())?;
        assert_eq!(scores.len(), options().len());
        for (likelihood, option) in scores.iter().zip(options()) {
            let expected = token_by_token(&mut engine, &option)?;
            assert!(
                (likelihood - expected).abs() < TOLERANCE && *likelihood < 0.0,
                "{option}: {likelihood} and {expected}"
            );
        }
        let alone = score(&mut engine, &options()[1..2])?;
        assert_eq!(alone[0], scores[1], "options are independent");
        all(engine.ask("Where is it?", short(0, 0.0), &cancel))?;
    }
    Ok(())
}

#[test]
fn scoring_leaves_the_conversation_as_it_was() -> Outcome {
    let cancel = CancelToken::new();
    let answer = |engine: &mut Engine| -> Result<String, EngineError> {
        Ok(text(&all(engine.ask(
            "Where is it?",
            short(3, 1.0),
            &cancel,
        ))?))
    };
    let mut plain = open()?;
    all(plain.inspect(photo(), describe(short(0, 0.0)), &cancel))?;
    let expected = answer(&mut plain)?;

    let mut engine = open()?;
    all(engine.inspect(photo(), describe(short(0, 0.0)), &cancel))?;
    score(&mut engine, &options())?;
    let cancelled = CancelToken::new();
    cancelled.cancel();
    let result = block_on(engine.score_choices(QUESTION, &options(), &cancelled));
    assert!(matches!(result, Err(EngineError::Cancelled)), "{result:?}");
    assert_eq!(answer(&mut engine)?, expected);
    Ok(())
}

#[test]
fn invalid_choices_are_rejected() -> Outcome {
    let mut engine = open()?;
    assert!(matches!(
        score(&mut engine, &options()),
        Err(EngineError::NoImage)
    ));
    all(engine.inspect(photo(), Query::default(), &CancelToken::new()))?;
    for bad in [
        vec![],
        vec!["a".to_owned(), " ".to_owned()],
        vec!["a".to_owned(); 65],
    ] {
        let result = score(&mut engine, &bad);
        assert!(
            matches!(
                result,
                Err(EngineError::BadQuery {
                    field: "options",
                    ..
                })
            ),
            "{result:?}"
        );
    }
    let long = score(&mut engine, &["x ".repeat(1500)]);
    assert!(
        matches!(long, Err(EngineError::ContextFull { limit: 640, .. })),
        "{long:?}"
    );
    let empty = block_on(engine.score_choices(" ", &options(), &CancelToken::new()));
    assert!(matches!(
        empty,
        Err(EngineError::Prep(PrepError::EmptyQuestion))
    ));
    Ok(())
}
