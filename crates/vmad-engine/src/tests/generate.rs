//! Answers in words: limits, sampling, follow-up questions, the cache.

use vmad_model::llama::KvCache;

use super::*;
use crate::readback::read;

#[test]
fn follow_ups_need_a_photograph_and_reuse_the_cache() -> Outcome {
    let mut engine = open()?;
    let cancel = CancelToken::new();
    let error = all(engine.ask("Why?", short(0, 0.0), &cancel));
    assert!(matches!(error, Err(EngineError::NoImage)));
    let query = Query {
        ask: Ask::Free("What is it?".to_owned()),
        ..describe(short(0, 0.0))
    };
    let events = all(engine.inspect(photo(), query, &cancel))?;
    assert!(!results(&events).is_empty());
    let before = engine.report().memory.kv_cache_bytes;
    let events = all(engine.ask("Why?", short(0, 0.0), &cancel))?;
    assert!(engine.report().memory.kv_cache_bytes > before);
    assert!(!events.iter().any(|event| matches!(
        event,
        Event::Progress {
            stage: Stage::Clip | Stage::Sam,
            ..
        }
    )));
    assert_eq!(
        results(&events).last().map(|result| result.answer.clone()),
        Some(text(&events))
    );
    Ok(())
}

#[test]
fn greedy_decoding_is_deterministic_and_so_is_a_seed() -> Outcome {
    let cancel = CancelToken::new();
    let run = |generation: Generation| -> Result<(String, Vec<f32>), EngineError> {
        let mut engine = open()?;
        let events = all(engine.inspect(photo(), describe(generation), &cancel))?;
        Ok((text(&events), first_map(&events)))
    };
    assert_eq!(run(short(1, 0.0))?, run(short(2, 0.0))?);
    assert_eq!(run(short(1, 1.0))?, run(short(1, 1.0))?);
    assert_ne!(run(short(1, 1.0))?.0, run(short(2, 1.0))?.0);
    Ok(())
}

#[test]
fn an_answer_ends_at_its_limits() -> Outcome {
    let mut engine = open()?;
    let cancel = CancelToken::new();
    let none = Generation {
        max_new_tokens: 0,
        ..short(0, 0.0)
    };
    let events = all(engine.inspect(photo(), describe(none), &cancel))?;
    assert_eq!(
        (text(&events), reason(&events)),
        (String::new(), Some(StopReason::Length))
    );

    // More tokens than the context has room for.
    let endless = Generation {
        max_new_tokens: 10_000,
        ..short(5, 1.5)
    };
    let events = all(engine.inspect(photo(), describe(endless.clone()), &cancel))?;
    assert!(matches!(
        reason(&events),
        Some(StopReason::End | StopReason::Length)
    ));

    let events = all(engine.inspect(photo(), describe(short(9, 1.0)), &cancel))?;
    let full = text(&events);
    let middle: String = full
        .chars()
        .skip(full.chars().count() / 2)
        .take(2)
        .collect();
    let until = Generation {
        stop: vec![middle.clone()],
        ..short(9, 1.0)
    };
    let events = all(engine.inspect(photo(), describe(until), &cancel))?;
    assert_eq!(
        reason(&events),
        Some(StopReason::Stop),
        "{full:?} {middle:?}"
    );
    assert_eq!(Some(text(&events).as_str()), full.split(&middle).next());
    Ok(())
}

/// Hidden states of single steps over the cache equal those of one pass.
#[test]
fn cached_steps_equal_one_pass() -> Outcome {
    let engine = open()?;
    let lm = engine.loaded.language();
    let mut ids: Vec<i32> = (0..23).map(|i| 3 + i * 17 % 500).collect();
    ids[12] = lm.tokenizer.ids().seg;
    let d_text = engine.loaded.config.llm.d_model;
    let conditioning = burn::tensor::Tensor::full([1, d_text], 0.1, lm.device);
    let conditioning = Some(&conditioning);
    let mut full = KvCache::new(&engine.loaded.config.llm);
    let expected = lm.forward_tokens(&ids, conditioning, &mut full)?;
    let mut cache = KvCache::new(&engine.loaded.config.llm);
    let mut parts = vec![lm.forward_tokens(&ids[..9], conditioning, &mut cache)?];
    for id in &ids[9..] {
        parts.push(lm.forward_tokens(&[*id], conditioning, &mut cache)?);
    }
    let actual = burn::tensor::Tensor::cat(parts, 1);
    let values = |tensor| block_on(read::<3>(Stage::Llm, tensor));
    for (at, (a, e)) in values(actual)?.iter().zip(values(expected)?).enumerate() {
        // f32 sums in another order.
        assert!((a - e).abs() < 1e-4, "{at}: {a} {e}");
    }
    Ok(())
}
