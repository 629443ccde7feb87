//! Photographs of good parts as references.

use vmad_model::config::SimilaritySource;

use super::*;
use crate::{Photo, ReferencePhoto};

fn reference(name: &str, photo: Result<Photo, EngineError>) -> ReferencePhoto {
    let name = name.to_owned();
    ReferencePhoto { name, photo }
}

fn good(n: usize) -> Vec<ReferencePhoto> {
    (0..n)
        .map(|i| reference(&format!("good-{i}"), Ok(photo().into())))
        .collect()
}

fn prior(engine: &mut Engine, photo: RgbImage) -> Result<Option<TraceData>, EngineError> {
    engine.start_trace();
    all(engine.inspect(photo, Query::default(), &CancelToken::new()))?;
    let trace = engine.take_trace().unwrap_or_default();
    Ok(trace
        .get("sam.mask_prompt")
        .map(|tensor| tensor.data.clone()))
}

fn set(engine: &mut Engine, photos: Vec<ReferencePhoto>) -> Result<usize, EngineError> {
    block_on(engine.set_references(photos, &CancelToken::new()))
}

#[test]
fn references_apply_until_they_are_removed() -> Outcome {
    let mut engine = open()?;
    let alone = prior(&mut engine, photo())?;
    assert_eq!(set(&mut engine, good(2))?, 2);
    assert_eq!(engine.n_references(), 2);
    let against = prior(&mut engine, photo())?;
    assert_ne!(against, alone);
    assert_eq!(prior(&mut engine, photo())?, against);
    assert_eq!(set(&mut engine, Vec::new())?, 0);
    assert_eq!(prior(&mut engine, photo())?, alone);
    Ok(())
}

#[test]
fn unusable_references_are_named_and_change_nothing() -> Outcome {
    let mut engine = open()?;
    set(&mut engine, good(1))?;
    let unreadable = EngineError::Unreadable {
        reason: "it is gone".to_owned(),
    };
    for (photos, code, part_of_message) in [
        (
            vec![reference("a.png", Ok(b"no image".to_vec().into()))],
            "not-an-image",
            "a.png",
        ),
        (
            vec![reference("b.png", Err(unreadable))],
            "file-unreadable",
            "b.png",
        ),
        (good(Engine::MAX_REFERENCES + 1), "bad-query", "at most 16"),
    ] {
        let error = set(&mut engine, photos).err();
        assert_eq!(error.as_ref().map(EngineError::code), Some(code));
        let message = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(message.contains(part_of_message), "{message}");
        assert_eq!(engine.n_references(), 1);
    }
    let cancel = CancelToken::new();
    cancel.cancel();
    let cancelled = block_on(engine.set_references(good(2), &cancel));
    assert!(matches!(cancelled, Err(EngineError::Cancelled)));
    assert_eq!(engine.n_references(), 1);
    assert_eq!(set(&mut engine, good(Engine::MAX_REFERENCES))?, 16);
    Ok(())
}

#[test]
fn a_model_without_the_prior_takes_no_references() -> Outcome {
    let mut engine = open()?;
    engine.loaded.config.clip.similarity_prompt = false;
    engine.loaded.config.sam.similarity_prompt = false;
    assert_eq!(set(&mut engine, Vec::new())?, 0);
    let error = set(&mut engine, good(1))
        .err()
        .map(|error| error.to_string());
    assert!(error.is_some_and(|error| error.contains("similarity_prompt")));
    Ok(())
}

#[test]
fn the_mask_prompt_can_come_from_clips_features() -> Outcome {
    let mut engine = open()?;
    let from_pixels = prior(&mut engine, photo())?;
    engine.loaded.config.sam.similarity_source = SimilaritySource::Clip;
    for similarity_prompt in [true, false] {
        engine.loaded.config.clip.similarity_prompt = similarity_prompt;
        engine.start_trace();
        let query = Query::default();
        let events = all(engine.inspect(photo(), query, &CancelToken::new()))?;
        let trace = engine.take_trace().unwrap_or_default();
        let prompt = trace.get("sam.mask_prompt");
        assert_eq!(
            prompt.map(|tensor| tensor.shape.clone()),
            Some(vec![1, 16, 16])
        );
        assert_ne!(prompt.map(|tensor| tensor.data.clone()), from_pixels);
        assert_eq!(trace.get("clip.similarity").is_some(), similarity_prompt);
        let [verdict] = results(&events)[..] else {
            panic!("one result")
        };
        let n_priors = verdict.timings.iter().filter(|(s, _)| *s == Stage::Prior);
        assert_eq!(n_priors.count(), 1 + usize::from(similarity_prompt));
        let totals = events.iter().filter_map(|event| match event {
            Event::Progress { total, .. } => Some(*total),
            _ => None,
        });
        let totals: Vec<u64> = totals.collect();
        assert_eq!(totals.len() as u64, totals[0]);
    }
    assert!(set(&mut engine, good(1)).is_err());
    Ok(())
}
