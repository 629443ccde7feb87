//! Inspections: order of events, determinism, errors.

use super::*;

#[test]
fn the_verdict_comes_before_the_words() -> Outcome {
    let mut engine = open()?;
    let cancel = CancelToken::new();
    let events = all(engine.inspect(photo(), describe(short(0, 0.0)), &cancel))?;
    let at = |is_kind: fn(&Event) -> bool| events.iter().position(is_kind);
    let mask = at(|event| {
        matches!(
            event,
            Event::Mask {
                width: 90,
                height: 60,
                logits_side: 16,
                ..
            }
        )
    });
    let result = at(|event| matches!(event, Event::Result(_)));
    let token = at(|event| matches!(event, Event::Token { .. }));
    assert!(
        mask.is_some() && mask < result && result < token,
        "{mask:?} {result:?} {token:?}"
    );
    for map in maps(&events) {
        assert_eq!(map.len(), 90 * 60);
        assert!(map.iter().all(|value| (0.0..=1.0).contains(value)));
    }
    let results = results(&events);
    let [first, .., last] = results[..] else {
        panic!("two results at least")
    };
    assert_eq!(first.answer, "");
    assert_eq!(last.answer, text(&events));
    assert!((0.0..=1.0).contains(&first.score));
    assert_eq!(first.anomalous, first.score >= 0.5);
    assert_eq!(first.device, "CPU");
    let stages: Vec<Stage> = last.timings.iter().map(|(stage, _)| *stage).collect();
    assert!(stages.starts_with(&[
        Stage::Decode,
        Stage::Prior,
        Stage::Clip,
        Stage::Projector,
        Stage::Sam,
        Stage::Llm,
        Stage::Mask,
        Stage::Score,
        Stage::Generate,
    ]));
    assert!(matches!(
        reason(&events),
        Some(StopReason::End | StopReason::Length)
    ));

    let memory = engine.report().memory;
    assert!(memory.weights_bytes > 0 && memory.kv_cache_bytes > 0 && memory.features_bytes > 0);
    assert!((1..=SHARD_BYTES).contains(&memory.peak_shard_bytes));
    Ok(())
}

#[test]
fn no_answer_is_generated_unless_the_query_asks_for_one() -> Outcome {
    let mut engine = open()?;
    let cancel = CancelToken::new();
    let query = Query {
        threshold: Some(0.0),
        ..Query::default()
    };
    let events = all(engine.inspect(photo(), query, &cancel))?;
    assert_eq!((maps(&events).len(), results(&events).len()), (1, 1));
    assert!(
        results(&events)
            .iter()
            .all(|result| result.anomalous && result.threshold == 0.0)
    );
    assert_eq!(reason(&events), Some(StopReason::End));
    Ok(())
}

#[test]
fn the_mask_does_not_depend_on_sampling() -> Outcome {
    let cancel = CancelToken::new();
    let mut engine = open()?;
    let one = all(engine.inspect(photo(), describe(short(1, 1.0)), &cancel))?;
    let two = all(engine.inspect(photo(), describe(short(2, 1.0)), &cancel))?;
    assert_eq!(first_map(&one), first_map(&two));
    Ok(())
}

#[test]
fn bad_input_leaves_the_conversation_as_it_was() -> Outcome {
    let mut engine = open()?;
    let cancel = CancelToken::new();
    all(engine.inspect(photo(), Query::default(), &cancel))?;
    let broken = all(engine.inspect(b"no image".to_vec(), Query::default(), &cancel));
    assert!(matches!(
        broken,
        Err(EngineError::Prep(PrepError::NotAnImage))
    ));
    let bad = |generation| Query {
        ask: Ask::Impact,
        generation,
        ..Query::default()
    };
    for (query, code) in [
        (
            bad(Generation {
                temperature: f32::NAN,
                ..Generation::default()
            }),
            "bad-query",
        ),
        (
            bad(Generation {
                top_p: 0.0,
                ..Generation::default()
            }),
            "bad-query",
        ),
        (
            bad(Generation {
                repetition_penalty: -1.0,
                ..Generation::default()
            }),
            "bad-query",
        ),
        (
            Query {
                threshold: Some(f32::INFINITY),
                ..Query::default()
            },
            "bad-query",
        ),
        (
            Query {
                ask: Ask::Free(String::new()),
                ..Query::default()
            },
            "question-empty",
        ),
        (
            Query {
                ask: Ask::Free("x".repeat(100_000)),
                ..Query::default()
            },
            "question-too-long",
        ),
        (
            Query {
                ask: Ask::Free("x ".repeat(1500)),
                ..Query::default()
            },
            "question-too-long",
        ),
        (
            Query {
                normal: Some("x ".repeat(900)),
                ..Query::default()
            },
            "question-too-long",
        ),
    ] {
        let error = all(engine.inspect(photo(), query, &cancel));
        assert_eq!(
            error.as_ref().err().map(EngineError::code),
            Some(code),
            "{error:?}"
        );
    }
    assert!(engine.has_image());
    all(engine.ask("Why?", short(0, 0.0), &cancel))?;
    Ok(())
}

#[test]
fn photographs_of_odd_sizes() -> Outcome {
    let mut engine = open()?;
    let cancel = CancelToken::new();
    for (width, height) in [(1, 1), (1, 300), (700, 2), (64, 64)] {
        let image = RgbImage::from_pixel(width, height, [90, 120, 60].into());
        let events = all(engine.inspect(image, Query::default(), &cancel))?;
        let map = first_map(&events);
        assert_eq!(map.len(), (width * height) as usize);
    }
    Ok(())
}
