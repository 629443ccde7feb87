//! The trace of intermediate tensors.

use vmad_model::expand_visual;
use vmad_prep::IMAGE_SENTINEL;

use super::*;

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
