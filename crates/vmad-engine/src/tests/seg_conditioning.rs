//! The addend of `[SEG]`'s embedding: evidence and verdict.

use vmad_model::llama::KvCache;

use super::*;
use crate::readback::read;

/// The addend changes the hidden states from `[SEG]` on, and none before.
#[test]
fn the_addend_acts_from_seg_on() -> Outcome {
    let engine = open()?;
    let lm = engine.loaded.language();
    let ids = [5, 9, lm.tokenizer.ids().seg, 14];
    let d_text = engine.loaded.config.llm.d_model;
    let addend = burn::tensor::Tensor::full([1, d_text], 0.1, lm.device);
    let states = |addend| {
        let hidden =
            lm.forward_tokens(&ids, addend, &mut KvCache::new(&engine.loaded.config.llm))?;
        block_on(read::<3>(Stage::Llm, hidden))
    };
    let (with, without) = (states(Some(&addend))?, states(None)?);
    let rows = with.chunks(d_text).zip(without.chunks(d_text));
    let differ: Vec<bool> = rows.map(|(a, b)| a != b).collect();
    assert_eq!(differ, [false, false, true, true]);
    Ok(())
}

/// The verdict of the query's threshold is part of the addend.
#[test]
fn the_addend_depends_on_the_verdict() -> Outcome {
    let mut engine = open()?;
    let mut addend_at = |threshold: f32| {
        let query = Query {
            threshold: Some(threshold),
            ..Query::default()
        };
        let events = all(engine.inspect(photo(), query, &CancelToken::new()))?;
        let addend = engine
            .session
            .as_ref()
            .and_then(|session| session.seg_conditioning.clone());
        let values = addend.map(|addend| block_on(read::<2>(Stage::Mask, addend)));
        let verdicts = results(&events);
        Ok::<_, EngineError>((verdicts[0].anomalous, values.transpose()?))
    };
    let (rejected, passed, again) = (addend_at(0.0)?, addend_at(1.0)?, addend_at(0.0)?);
    assert_eq!((rejected.0, passed.0), (true, false));
    assert!(rejected.1.is_some());
    assert_ne!(rejected.1, passed.1);
    assert_eq!(rejected, again);
    Ok(())
}
