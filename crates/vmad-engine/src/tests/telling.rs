//! What the words are told of the mask.

use super::*;

/// From `[SEG]` on, and not before, the words know what the mask holds.
#[test]
fn evidence_is_heard_at_seg() -> Outcome {
    let engine = open()?;
    let brain = engine.brain();
    let ids = [5, 9, brain.tokenizer.ids().seg, 14];
    let d_text = engine.config.llm.d_model;
    let evidence = burn::tensor::Tensor::full([1, d_text], 0.1, brain.device);
    let states = |evidence| {
        let hidden = brain.hear(&ids, evidence, &mut KvCache::new(&engine.config.llm))?;
        block_on(crate::pace::read::<3>(Stage::Llm, hidden))
    };
    let (with, without) = (states(Some(&evidence))?, states(None)?);
    let rows = with.chunks(d_text).zip(without.chunks(d_text));
    let differ: Vec<bool> = rows.map(|(a, b)| a != b).collect();
    assert_eq!(differ, [false, false, true, true]);
    Ok(())
}

/// The threshold that gives the verdict reaches the words.
#[test]
fn the_words_are_told_the_verdict() -> Outcome {
    let mut engine = open()?;
    let mut told = |threshold: f32| {
        let query = Query {
            threshold: Some(threshold),
            ..Query::default()
        };
        let events = all(engine.inspect(photo(), query, &CancelToken::new()))?;
        let told = engine
            .session
            .as_ref()
            .and_then(|session| session.told.clone());
        let values = told.map(|told| block_on(crate::pace::read::<2>(Stage::Mask, told)));
        let verdicts = results(&events);
        Ok::<_, EngineError>((verdicts[0].anomalous, values.transpose()?))
    };
    let (rejected, passed, again) = (told(0.0)?, told(1.0)?, told(0.0)?);
    assert_eq!((rejected.0, passed.0), (true, false));
    assert!(rejected.1.is_some());
    assert_ne!(rejected.1, passed.1);
    assert_eq!(rejected, again);
    Ok(())
}
