//! Steps that are launched before their tokens are known change nothing.

use super::*;

/// What is seen of two turns, and where the conversation stands after them.
#[derive(Debug, PartialEq)]
struct Seen {
    answers: Vec<String>,
    reasons: Vec<StopReason>,
    maps: Vec<Vec<f32>>,
    n_heard: usize,
    pending: Vec<i32>,
}

fn two_turns(engine: &mut Engine, generation: &Generation) -> Result<Seen, EngineError> {
    let cancel = CancelToken::new();
    let mut events = all(engine.inspect(photo(), describe(generation.clone()), &cancel))?;
    events.extend(all(engine.ask("And why?", generation.clone(), &cancel))?);
    let reasons = events.iter().filter_map(|event| match event {
        Event::Done { reason } => Some(*reason),
        _ => None,
    });
    let (_, session) = engine.brain_and_session()?;
    Ok(Seen {
        answers: results(&events).iter().map(|r| r.answer.clone()).collect(),
        reasons: reasons.collect(),
        maps: maps(&events).into_iter().cloned().collect(),
        n_heard: session.cache.len(),
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
            // Random weights say [SEG] and the end now and then when any token will do.
            ..short(seed, [0.5, 1.0, 20.0][kind % 3])
        };
        engine.ahead = 0;
        let single = two_turns(&mut engine, &generation)?;
        n_maps = n_maps.max(single.maps.len());
        reasons.extend(single.reasons.clone());
        for ahead in [1, 3, 30] {
            engine.ahead = ahead;
            let found = two_turns(&mut engine, &generation)?;
            assert_eq!(found, single, "{ahead} steps ahead, seed {seed}");
        }
    }
    // Or the comparison has missed what it is for.
    assert!(n_maps > 1, "no answer with [SEG] in it");
    for reason in [StopReason::End, StopReason::Length, StopReason::Stop] {
        assert!(reasons.contains(&reason), "no {reason:?} in {reasons:?}");
    }
    Ok(())
}

/// An answer that ends early leaves choices on their way from the device.
#[cfg(feature = "gpu")]
#[test]
fn answers_are_those_of_single_steps_on_a_gpu() -> Outcome {
    let Some(mut engine) = open_on_gpu()? else {
        return Ok(());
    };
    let ahead = engine.ahead;
    assert!(ahead > 0);
    let mut reasons = Vec::new();
    for seed in 0..6 {
        let generation = Generation {
            stop: vec!["e".to_owned()],
            ..short(seed, [0.5, 20.0][seed as usize % 2])
        };
        engine.ahead = 0;
        let single = two_turns(&mut engine, &generation)?;
        engine.ahead = ahead;
        assert_eq!(two_turns(&mut engine, &generation)?, single, "seed {seed}");
        reasons.extend(single.reasons);
    }
    assert!(reasons.contains(&StopReason::Stop), "{reasons:?}");
    Ok(())
}
