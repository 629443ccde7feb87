//! Plan and execution of calls.

use vmad_model::config::SimilaritySource;

use super::*;
use crate::call_plan::CallPlan;

/// The stages of all progress events, which must count up to the plan's total.
fn executed(events: &[Event], plan: &CallPlan) -> Vec<Stage> {
    let n_planned = plan.stages().len() as u64;
    let progress = events.iter().filter_map(|event| match event {
        Event::Progress { stage, done, total } => Some((*stage, *done, *total)),
        _ => None,
    });
    let mut stages = Vec::new();
    for (index, (stage, done, total)) in (0..).zip(progress) {
        assert_eq!((done, total), (n_planned.min(index), n_planned), "{stage}");
        stages.push(stage);
    }
    stages
}

/// Additional stages, for `[SEG]` tokens of the answer, are allowed after the planned ones only.
fn check(events: &[Event], plan: &CallPlan, case: &str) {
    let stages = executed(events, plan);
    let n_planned = plan.stages().len();
    assert!(stages.len() >= n_planned, "{case}: {stages:?}");
    let (planned, additional) = stages.split_at(n_planned);
    assert_eq!(planned, plan.stages(), "{case}");
    let n_masks = additional.iter().filter(|s| **s == Stage::Mask).count();
    let mut expected = [Stage::Mask, Stage::Generate].repeat(n_masks);
    expected.extend((n_masks > 0).then_some(Stage::Score));
    assert_eq!(additional, expected, "{case}");
}

#[test]
fn every_call_runs_its_plan() -> Outcome {
    let mut engine = open()?;
    let cancel = CancelToken::new();
    let question = || Ask::Free("What is it?".to_owned());
    // Whether CLIP takes the prior, whether SAM takes it, and from where.
    for (clip_prior, sam_prior, source) in [
        (true, true, SimilaritySource::Pixels),
        (true, true, SimilaritySource::Clip),
        (true, false, SimilaritySource::Pixels),
        (false, true, SimilaritySource::Pixels),
        (false, true, SimilaritySource::Clip),
        (false, false, SimilaritySource::Pixels),
    ] {
        let config = &mut engine.loaded.config;
        config.clip.similarity_prompt = clip_prior;
        config.sam.similarity_prompt = sam_prior;
        config.sam.similarity_source = source;
        for ask in [Ask::None, Ask::Description, Ask::Impact, question()] {
            let case = format!("{clip_prior} {sam_prior} {source:?} {ask:?}");
            let plan = CallPlan::inspect(&engine.loaded.config, &ask);
            let query = Query {
                ask,
                ..describe(short(0, 0.0))
            };
            let events = all(engine.inspect(photo(), query, &cancel))?;
            check(&events, &plan, &case);
            let events = all(engine.ask("Why?", short(0, 0.0), &cancel))?;
            check(&events, &CallPlan::ask(), &case);
        }
    }
    Ok(())
}

/// An answer with `[SEG]` tokens runs additional stages, and its progress stays at the total.
#[test]
fn segs_of_an_answer_add_stages() -> Outcome {
    let mut engine = open()?;
    let cancel = CancelToken::new();
    let plan = CallPlan::inspect(&engine.loaded.config, &Ask::Description);
    let mut n_additional = 0;
    for seed in 0..40 {
        // At a high temperature, random weights produce [SEG] now and then.
        let query = describe(Generation {
            max_new_tokens: 100,
            ..short(seed, 50.0)
        });
        let events = all(engine.inspect(photo(), query, &cancel))?;
        check(&events, &plan, &format!("seed {seed}"));
        n_additional += executed(&events, &plan).len() - plan.stages().len();
    }
    assert!(n_additional > 0, "no answer has a [SEG] token");
    Ok(())
}
