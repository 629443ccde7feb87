//! A whole session on the CPU with the nano package.

use std::rc::Rc;

use futures::StreamExt;
use pollster::block_on;
use serde_json::json;
use vmad_model::expand_visual;
use vmad_model::llama::KvCache;
use vmad_prep::{IMAGE_SENTINEL, PrepError, RgbImage};

use crate::{
    Ask, ByteSource, CancelToken, Chosen, Engine, EngineError, Event, EventStream, Generation,
    Inspection, MemorySource, Query, Stage, StopReason, SystemHost, TraceData, nano,
};

mod calibrating;
mod choosing;
mod comparing;
mod giving_up;
mod going_ahead;
mod packages;
mod telling;
mod warming;

type Outcome = Result<(), EngineError>;

/// Small enough that the weights lie in several shards and the embedding table is split.
const SHARD_BYTES: u64 = 32 << 10;

fn source() -> Result<MemorySource, EngineError> {
    nano::package(1, SHARD_BYTES)
}

fn open_from(source: &dyn ByteSource) -> Result<Engine, EngineError> {
    open_on(Chosen::cpu(), source)
}

fn open_on(chosen: Chosen, source: &dyn ByteSource) -> Result<Engine, EngineError> {
    let host = Rc::new(SystemHost::new());
    let cancel = CancelToken::new();
    block_on(Engine::open(source, chosen, host, &mut |_| (), &cancel))
}

fn open() -> Result<Engine, EngineError> {
    open_from(&source()?)
}

/// A session on the graphics adapter. None without one, unless `VMAD_REQUIRE_GPU` is 1.
#[cfg(feature = "gpu")]
fn open_on_gpu() -> Result<Option<Engine>, EngineError> {
    match block_on(crate::choose(crate::DeviceChoice::Gpu)) {
        Ok(chosen) => open_on(chosen, &source()?).map(Some),
        Err(error) if std::env::var_os("VMAD_REQUIRE_GPU").is_some_and(|v| v == "1") => Err(error),
        Err(error) => {
            println!("skipped: {error}");
            Ok(None)
        }
    }
}

fn photo() -> RgbImage {
    RgbImage::from_fn(90, 60, |x, y| {
        let dark = (x / 5 + y / 5) % 2 == 0;
        let shade = if dark { 80 } else { 160 };
        vmad_prep::overlay::colour((shade + x % 7) as f32 / 255.0).into()
    })
}

fn short(seed: u64, temperature: f32) -> Generation {
    Generation {
        max_new_tokens: 24,
        temperature,
        seed,
        ..Generation::default()
    }
}

fn describe(generation: Generation) -> Query {
    Query {
        object: Some("bolt".to_owned()),
        ask: Ask::Description,
        generation,
        ..Query::default()
    }
}

fn all(events: EventStream<'_>) -> Result<Vec<Event>, EngineError> {
    let events: Vec<_> = block_on(events.collect());
    events.into_iter().collect()
}

fn text(events: &[Event]) -> String {
    let pieces = events.iter().filter_map(|event| match event {
        Event::Token { text } => Some(text.as_str()),
        _ => None,
    });
    pieces.collect()
}

fn results(events: &[Event]) -> Vec<&Inspection> {
    let results = events.iter().filter_map(|event| match event {
        Event::Result(result) => Some(result),
        _ => None,
    });
    results.collect()
}

fn maps(events: &[Event]) -> Vec<&Vec<f32>> {
    let maps = events.iter().filter_map(|event| match event {
        Event::Mask { map, .. } => Some(map),
        _ => None,
    });
    maps.collect()
}

/// The map of the scoring mode.
fn first_map(events: &[Event]) -> Vec<f32> {
    maps(events)
        .first()
        .map(|map| (*map).clone())
        .unwrap_or_default()
}

fn reason(events: &[Event]) -> Option<StopReason> {
    match events.last() {
        Some(Event::Done { reason }) => Some(*reason),
        _ => None,
    }
}

/// Runs until the first token, gives up there and returns what came.
fn cancelled_at_first_token(
    engine: &mut Engine,
    start: impl for<'e> FnOnce(&'e mut Engine, &CancelToken) -> EventStream<'e>,
) -> Result<Vec<Event>, EngineError> {
    let cancel = CancelToken::new();
    let mut events = start(engine, &cancel);
    let mut seen = Vec::new();
    while let Some(event) = block_on(events.next()) {
        let event = event?;
        if matches!(event, Event::Token { .. }) {
            cancel.cancel();
        }
        seen.push(event);
    }
    Ok(seen)
}

#[test]
fn inspect_tells_the_verdict_before_the_words() -> Outcome {
    let mut engine = open()?;
    let cancel = CancelToken::new();
    let events = all(engine.inspect(photo(), describe(short(0, 0.0)), &cancel))?;
    let at = |wanted: fn(&Event) -> bool| events.iter().position(wanted);
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
fn no_words_are_generated_unless_asked_for() -> Outcome {
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
fn greedy_repeats_itself_and_a_seed_does() -> Outcome {
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
fn the_mask_does_not_depend_on_how_words_are_sampled() -> Outcome {
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

    // The end token is made impossible to reach by ending at the context's end instead.
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
    let whole = text(&events);
    let middle: String = whole
        .chars()
        .skip(whole.chars().count() / 2)
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
        "{whole:?} {middle:?}"
    );
    assert_eq!(Some(text(&events).as_str()), whole.split(&middle).next());
    Ok(())
}

/// Step by step over the cache, the hidden states are those of one pass over everything.
#[test]
fn cached_steps_equal_one_pass() -> Outcome {
    let engine = open()?;
    let brain = engine.brain();
    let mut ids: Vec<i32> = (0..23).map(|i| 3 + i * 17 % 500).collect();
    ids[12] = brain.tokenizer.ids().seg;
    let d_text = engine.config.llm.d_model;
    let evidence = burn::tensor::Tensor::full([1, d_text], 0.1, brain.device);
    let evidence = Some(&evidence);
    let mut whole = KvCache::new(&engine.config.llm);
    let expected = brain.hear(&ids, evidence, &mut whole)?;
    let mut cache = KvCache::new(&engine.config.llm);
    let mut parts = vec![brain.hear(&ids[..9], evidence, &mut cache)?];
    for id in &ids[9..] {
        parts.push(brain.hear(&[*id], evidence, &mut cache)?);
    }
    let actual = burn::tensor::Tensor::cat(parts, 1);
    let values = |tensor| block_on(crate::pace::read::<3>(Stage::Llm, tensor));
    for (at, (a, e)) in values(actual)?.iter().zip(values(expected)?).enumerate() {
        // f32 sums in another order.
        assert!((a - e).abs() < 1e-4, "{at}: {a} {e}");
    }
    Ok(())
}

#[test]
fn a_trace_names_every_tensor() -> Outcome {
    let mut engine = open()?;
    engine.start_trace();
    let cancel = CancelToken::new();
    let events = all(engine.inspect(photo(), Query::default(), &cancel))?;
    let trace = engine.take_trace().unwrap_or_default();
    let Some(TraceData::I32(ids)) = trace.get("llm.input_ids").map(|tensor| &tensor.data) else {
        panic!("no ids");
    };
    assert!(expand_visual(ids, IMAGE_SENTINEL).is_some());
    let n = ids.len() + 3;
    for (name, shape) in [
        ("clip.pixels", vec![3, 56, 56]),
        ("sam.pixels", vec![3, 64, 64]),
        ("clip.hidden.0", vec![17, 32]),
        ("clip.hidden.4", vec![17, 32]),
        ("projector.out", vec![4, 64]),
        ("llm.hidden", vec![n, 64]),
        ("llm.logits", vec![n, 603]),
        ("seg.hidden", vec![64]),
        ("seg.embedding", vec![32]),
        ("sam.image_embedding", vec![32, 4, 4]),
        ("clip.similarity", vec![4, 16, 16]),
        ("sam.mask_prompt", vec![1, 16, 16]),
        ("mask.logits", vec![16, 16]),
        ("mask.evidence", vec![64]),
        ("map", vec![60, 90]),
    ] {
        assert_eq!(
            trace.get(name).map(|tensor| tensor.shape.clone()),
            Some(shape),
            "{name}"
        );
    }
    let map = trace.get("map").map(|tensor| tensor.data.clone());
    assert_eq!(map, Some(TraceData::F32(first_map(&events))));
    Ok(())
}

#[test]
fn queries_have_the_form_that_the_page_sends() -> Result<(), serde_json::Error> {
    let query: Query = serde_json::from_value(json!({
        "object": "bolt",
        "ask": {"question": "What is it?"},
        "generation": {"maxNewTokens": 5, "topP": 0.5, "repetitionPenalty": 1.1},
    }))?;
    assert_eq!(query.ask, Ask::Free("What is it?".to_owned()));
    assert_eq!(query.generation.max_new_tokens, 5);
    let query: Query = serde_json::from_value(json!({"ask": "impact"}))?;
    assert_eq!(
        query,
        Query {
            ask: Ask::Impact,
            ..Query::default()
        }
    );
    assert_eq!(
        serde_json::to_value(StopReason::Cancelled)?,
        json!("cancelled")
    );
    Ok(())
}

#[cfg(not(feature = "gpu"))]
#[test]
fn without_a_gpu_the_choice_falls_on_the_cpu() -> Outcome {
    use crate::{DeviceChoice, choose};
    assert_eq!(
        block_on(choose(DeviceChoice::Auto))?.kind,
        crate::DeviceKind::Cpu
    );
    let forced = block_on(choose(DeviceChoice::Gpu));
    assert_eq!(forced.err().map(|error| error.code()), Some("no-gpu"));
    Ok(())
}
