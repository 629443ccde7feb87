//! Calls that are cancelled or dropped before their end.

use super::*;

#[test]
fn cancelled_calls_leave_no_trace() -> Outcome {
    check_cancelled_calls_leave_no_trace(open()?, open()?)
}

#[cfg(feature = "gpu")]
#[test]
fn cancelled_calls_leave_no_trace_on_a_gpu() -> Outcome {
    match (open_on_gpu()?, open_on_gpu()?) {
        (Some(plain), Some(engine)) => check_cancelled_calls_leave_no_trace(plain, engine),
        _ => Ok(()),
    }
}

/// A session with cancelled calls answers as one without them.
fn check_cancelled_calls_leave_no_trace(mut plain: Engine, mut engine: Engine) -> Outcome {
    let cancel = CancelToken::new();
    let generation = short(3, 1.0);
    all(plain.inspect(photo(), describe(generation.clone()), &cancel))?;
    let expected = text(&all(plain.ask(
        "Where is it?",
        generation.clone(),
        &cancel,
    ))?);

    all(engine.inspect(photo(), describe(generation.clone()), &cancel))?;
    let other = generation.clone();
    let events = cancelled_at_first_token(&mut engine, |engine, cancel| {
        engine.ask("Is it deep?", other, cancel)
    })?;
    assert_eq!(reason(&events), Some(StopReason::Cancelled));
    {
        let mut events = engine.ask("How long is it?", generation.clone(), &cancel);
        for _ in 0..3 {
            block_on(events.next());
        }
    }
    let long = "x ".repeat(1500);
    let full = all(engine.ask(long, generation.clone(), &cancel));
    assert!(
        matches!(full, Err(EngineError::ContextFull { limit: 640, .. })),
        "{full:?}"
    );
    let empty = all(engine.ask(" ", generation.clone(), &cancel));
    assert!(matches!(
        empty,
        Err(EngineError::Prep(PrepError::EmptyQuestion))
    ));
    let events = all(engine.ask("Where is it?", generation, &cancel))?;
    assert_eq!(text(&events), expected);
    Ok(())
}

#[test]
fn a_cancelled_answer_keeps_the_verdict() -> Outcome {
    let mut engine = open()?;
    let events = cancelled_at_first_token(&mut engine, |engine, cancel| {
        engine.inspect(photo(), describe(short(0, 0.0)), cancel)
    })?;
    assert_eq!(reason(&events), Some(StopReason::Cancelled));
    assert!(engine.has_image());
    let cancel = CancelToken::new();
    let events = all(engine.ask("Why?", short(0, 0.0), &cancel))?;
    assert!(results(&events).len() == 1 || maps(&events).len() == 1);
    Ok(())
}

#[test]
fn a_call_cancelled_before_the_verdict_leaves_no_photograph() -> Outcome {
    let mut engine = open()?;
    let cancel = CancelToken::new();
    let mut received = Vec::new();
    let mut events = engine.inspect(photo(), Query::default(), &cancel);
    while let Some(event) = block_on(events.next()) {
        let event = event?;
        if matches!(
            event,
            Event::Progress {
                stage: Stage::Sam,
                ..
            }
        ) {
            cancel.cancel();
        }
        received.push(event);
    }
    drop(events);
    assert_eq!(reason(&received), Some(StopReason::Cancelled));
    assert!(maps(&received).is_empty() && !engine.has_image());
    Ok(())
}
