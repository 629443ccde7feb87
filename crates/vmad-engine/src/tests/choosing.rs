//! The likelihood of given answers.

use super::*;
use crate::pace::read;
use crate::session::follow_up_ids;

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

/// Mean ln p over an option's tokens, one step of the model for each token, on a copy of nothing:
/// the cache is cut back afterwards.
fn token_by_token(engine: &mut Engine, option: &str) -> Result<f32, EngineError> {
    let (brain, session) = engine.brain_and_session()?;
    let start = session.cache.len();
    let prompt = follow_up_ids(&brain, &session.pending, QUESTION)?;
    let clean = brain.tokenizer.sanitize_user_text(option);
    let turn = brain.conversation.follow_up(QUESTION);
    let mut whole = session.pending.clone();
    whole.extend(brain.tokenizer.encode(&format!("{turn} {clean}"), false)?);
    assert_eq!(whole[..prompt.len()], prompt, "words do not share tokens");
    let evidence = session.told.as_ref();
    let (mut sum, mut n) = (0.0_f64, 0);
    for (i, id) in whole.iter().enumerate() {
        if i >= prompt.len() {
            let hidden = brain.hear(&whole[i - 1..i], evidence, &mut session.cache)?;
            let logits = block_on(read(Stage::Llm, brain.stand(hidden).logits))?;
            let total: f64 = logits.iter().map(|l| f64::from(*l).exp()).sum();
            sum += f64::from(logits[*id as usize]) - total.ln();
            n += 1;
        } else if i + 1 < prompt.len() {
            brain.hear(&[*id], evidence, &mut session.cache)?;
        }
    }
    session.cache.truncate(start);
    Ok((sum / f64::from(n)) as f32)
}

fn choose(engine: &mut Engine, options: &[String]) -> Result<Vec<f32>, EngineError> {
    block_on(engine.choose(QUESTION, options, &CancelToken::new()))
}

/// f32 sums in another order, averaged over the tokens.
const TOLERANCE: f32 = 1e-4;

#[test]
fn likelihoods_are_those_of_single_steps() -> Outcome {
    let mut engine = open()?;
    let cancel = CancelToken::new();
    all(engine.inspect(photo(), Query::default(), &cancel))?;
    // A fresh photograph first, then one that was talked about.
    for _ in 0..2 {
        let found = choose(&mut engine, &options())?;
        assert_eq!(found.len(), options().len());
        for (likelihood, option) in found.iter().zip(options()) {
            let expected = token_by_token(&mut engine, &option)?;
            assert!(
                (likelihood - expected).abs() < TOLERANCE && *likelihood < 0.0,
                "{option}: {likelihood} and {expected}"
            );
        }
        let alone = choose(&mut engine, &options()[1..2])?;
        assert_eq!(alone[0], found[1], "options do not see each other");
        all(engine.ask("Where is it?", short(0, 0.0), &cancel))?;
    }
    Ok(())
}

#[test]
fn choosing_leaves_the_conversation_as_it_was() -> Outcome {
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
    choose(&mut engine, &options())?;
    let given_up = CancelToken::new();
    given_up.cancel();
    let result = block_on(engine.choose(QUESTION, &options(), &given_up));
    assert!(matches!(result, Err(EngineError::Cancelled)), "{result:?}");
    assert_eq!(answer(&mut engine)?, expected);
    Ok(())
}

#[test]
fn questions_that_cannot_be_chosen_from_are_refused() -> Outcome {
    let mut engine = open()?;
    assert!(matches!(
        choose(&mut engine, &options()),
        Err(EngineError::NoImage)
    ));
    all(engine.inspect(photo(), Query::default(), &CancelToken::new()))?;
    for bad in [
        vec![],
        vec!["a".to_owned(), " ".to_owned()],
        vec!["a".to_owned(); 65],
    ] {
        let result = choose(&mut engine, &bad);
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
    let long = choose(&mut engine, &["x ".repeat(1500)]);
    assert!(
        matches!(long, Err(EngineError::ContextFull { limit: 640, .. })),
        "{long:?}"
    );
    let empty = block_on(engine.choose(" ", &options(), &CancelToken::new()));
    assert!(matches!(
        empty,
        Err(EngineError::Prep(PrepError::EmptyQuestion))
    ));
    Ok(())
}
