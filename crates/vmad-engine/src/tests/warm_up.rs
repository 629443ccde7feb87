//! Warm-up.

use pollster::block_on;

use super::{Outcome, all, describe, open, photo, short};
use crate::{CancelToken, EngineError, Event};

fn scores(events: &[Event]) -> Vec<f32> {
    let score = |event: &Event| match event {
        Event::Result(inspection) => Some(inspection.score),
        _ => None,
    };
    events.iter().filter_map(score).collect()
}

#[test]
fn a_warm_up_leaves_nothing_behind() -> Outcome {
    let cancel = CancelToken::new();
    let mut warm = open()?;
    assert!(!block_on(warm.warm_up(&cancel))?, "there is no GPU");
    block_on(warm.inspect_test_pattern(&cancel))?;
    assert!(!warm.has_image());
    assert!(warm.report().timings.is_empty());
    let mut cold = open()?;
    let [one, other] = [&mut warm, &mut cold]
        .map(|engine| all(engine.inspect(photo(), describe(short(3, 0.0)), &cancel)));
    let (one, other) = (one?, other?);
    assert!(!scores(&one).is_empty());
    assert_eq!(scores(&one), scores(&other));
    Ok(())
}

#[test]
fn a_warm_up_can_be_cancelled() -> Outcome {
    let cancel = CancelToken::new();
    cancel.cancel();
    let mut engine = open()?;
    match block_on(engine.inspect_test_pattern(&cancel)) {
        Ok(()) | Err(EngineError::Cancelled) => {}
        Err(error) => return Err(error),
    }
    assert!(!engine.has_image());
    let events = engine.inspect(photo(), describe(short(3, 0.0)), &CancelToken::new());
    assert!(!scores(&all(events)?).is_empty());
    Ok(())
}
