//! Lookahead does not change answers.

use super::*;

/// The results of two turns, and the session's state after them.
#[derive(Debug, PartialEq)]
struct TwoTurns {
    answers: Vec<String>,
    reasons: Vec<StopReason>,
    maps: Vec<Vec<f32>>,
    n_cached: usize,
    pending: Vec<i32>,
}

fn two_turns(engine: &mut Engine, generation: &Generation) -> Result<TwoTurns, EngineError> {
    let cancel = CancelToken::new();
    let mut events = all(engine.inspect(photo(), describe(generation.clone()), &cancel))?;
    events.extend(all(engine.ask("And why?", generation.clone(), &cancel))?);
    let reasons = events.iter().filter_map(|event| match event {
        Event::Done { reason } => Some(*reason),
        _ => None,
    });
    let session = engine.session.as_ref().ok_or(EngineError::NoImage)?;
    Ok(TwoTurns {
        answers: results(&events).iter().map(|r| r.answer.clone()).collect(),
        reasons: reasons.collect(),
        maps: maps(&events).into_iter().cloned().collect(),
        n_cached: session.cache.len(),
        pending: session.pending.clone(),
    })
}

#[test]
fn answers_are_those_of_single_steps() -> Outcome {
    let mut engine = open()?;
    let (mut n_maps, mut reasons) = (0, Vec::new());
    for seed in 0..60 {
        let kind = seed as usize;
        let generation = Generation {
            top_k: [0, 50][kind % 2],
            repetition_penalty: [1.0, 1.2][kind / 2 % 2],
            stop: vec!["e".repeat(1 + kind % 3)],
            // At a high temperature, random weights produce [SEG] and the end token now and then.
            ..short(seed, [0.5, 1.0, 20.0][kind % 3])
        };
        engine.loaded.n_lookahead = 0;
        let single = two_turns(&mut engine, &generation)?;
        n_maps = n_maps.max(single.maps.len());
        reasons.extend(single.reasons.clone());
        for n_lookahead in [1, 3, 30] {
            engine.loaded.n_lookahead = n_lookahead;
            let turns = two_turns(&mut engine, &generation)?;
            assert_eq!(turns, single, "lookahead {n_lookahead}, seed {seed}");
        }
    }
    // Without these cases the comparison would prove little.
    assert!(n_maps > 1, "no answer with [SEG] in it");
    for reason in [StopReason::End, StopReason::Length, StopReason::Stop] {
        assert!(reasons.contains(&reason), "no {reason:?} in {reasons:?}");
    }
    Ok(())
}

/// An answer that ends early leaves readbacks in flight.
#[cfg(feature = "gpu")]
#[test]
fn answers_are_those_of_single_steps_on_a_gpu() -> Outcome {
    let Some(mut engine) = open_on_gpu()? else {
        return Ok(());
    };
    let n_lookahead = engine.loaded.n_lookahead;
    assert!(n_lookahead > 0);
    let mut reasons = Vec::new();
    for seed in 0..6 {
        let generation = Generation {
            stop: vec!["e".to_owned()],
            ..short(seed, [0.5, 20.0][seed as usize % 2])
        };
        engine.loaded.n_lookahead = 0;
        let single = two_turns(&mut engine, &generation)?;
        engine.loaded.n_lookahead = n_lookahead;
        assert_eq!(two_turns(&mut engine, &generation)?, single, "seed {seed}");
        reasons.extend(single.reasons);
    }
    assert!(reasons.contains(&StopReason::Stop), "{reasons:?}");
    Ok(())
}
