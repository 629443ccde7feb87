//! From the encoded photograph to mask, map, score and verdict.
//!
//! No sampling takes part (§7 of the specification). The answer `It is` is forced, and the hidden
//! state at its last word, which predicts `[SEG]`, is the mask prompt. So every photograph gets a
//! mask and a score, and the same photograph always gets the same ones. An answer in words continues
//! the forced answer over the same cache.
//!
//! The verdict compares the score with the image threshold, see [`Session::is_anomalous`]; regions
//! are pixels of the map above the pixel threshold.

use burn::tensor::Tensor;
use vmad_kernels::Draw;
use vmad_kernels::reference::sample;
use vmad_model::llama::KvCache;
use vmad_prep::{IMAGE_SENTINEL, ScoreMode, image_score, regions};

use crate::call_context::CallContext;
use crate::encode::EncodedPhoto;
use crate::image_features::{DecodedMask, ImageFeatures};
use crate::language_context::{LanguageContext, LmOutput};
use crate::loaded_model::LoadedModel;
use crate::query::CheckedQuery;
use crate::session::Session;
use crate::{AnomalyMap, EngineError, Stage};

/// A scored photograph: a new session, its map, and the output that an answer starts from.
pub(crate) struct ScoredPrompt {
    pub session: Session,
    pub map: AnomalyMap,
    pub output: LmOutput,
}

/// Ids of the forced prompt: the question with the image sentinel, and the words before `[SEG]`.
///
/// # Errors
/// [`EngineError::ContextFull`] when the context has no room for the prompt and, if the query has a
/// free question, for the turn that follows.
pub(crate) fn prompt_ids(
    lm: &LanguageContext<'_>,
    query: &CheckedQuery,
) -> Result<Vec<i32>, EngineError> {
    let question = lm.templates.question(query.object.as_deref(), query.topic);
    let prompt = lm
        .conversation
        .first_turn(&question, query.normal.as_deref());
    let prompt = format!("{prompt} {}", lm.templates.answer_prefix);
    let ids = lm.tokenizer.encode_with_image(&prompt)?;
    let n_positions = ids.len() - 1 + lm.config.projector.n_visual();
    let n_follow_up = match &query.question {
        Some(question) => {
            let end = lm.forced_turn_end_ids()?;
            lm.follow_up_ids(&end, question)?.len() + 1
        }
        None => 0,
    };
    lm.check_room(n_positions + n_follow_up)?;
    Ok(ids)
}

/// Scores a photograph: forced prompt, mask, map, score, verdict.
pub(crate) async fn score(
    loaded: &LoadedModel,
    encoded: EncodedPhoto,
    prompt: &[i32],
    query: &CheckedQuery,
    ctx: &mut CallContext,
) -> Result<ScoredPrompt, EngineError> {
    let lm = loaded.language();
    let EncodedPhoto {
        frame,
        visual_tokens,
        image,
    } = encoded;
    let mut cache = KvCache::new(&lm.config.llm);
    let (output, seg_produced) =
        run_forced_prompt(&lm, prompt, visual_tokens, &mut cache, ctx).await?;
    let mask = decode_first_mask(&lm, &image, &output, ctx).await?;
    let mut session = Session {
        frame,
        image,
        n_committed: cache.len(),
        cache,
        pending: lm.forced_turn_end_ids()?,
        seg_conditioning: None,
        masks: vec![mask.logits],
        seg_produced,
        thresholds: query.thresholds(loaded.thresholds()),
        score: 0.0,
        regions: Vec::new(),
    };
    let map = score_masks(&mut session, loaded, ctx).await?;
    session.seg_conditioning = lm.seg_conditioning(mask.evidence, session.is_anomalous());
    Ok(ScoredPrompt {
        session,
        map,
        output,
    })
}

/// Runs the language model over the forced prompt. Returns the output at its last position and
/// whether `[SEG]` is the likeliest token there.
///
/// # Shapes
/// - visual_tokens: `[1, n_visual, d_text]`
async fn run_forced_prompt(
    lm: &LanguageContext<'_>,
    prompt: &[i32],
    visual_tokens: Tensor<3>,
    cache: &mut KvCache,
    ctx: &mut CallContext,
) -> Result<(LmOutput, bool), EngineError> {
    debug_assert!(prompt.contains(&IMAGE_SENTINEL));
    ctx.begin(Stage::Llm).await?;
    let hidden = lm.forward_prompt(prompt, &visual_tokens, cache)?; // [1, n, d_text]
    let output = lm.last_output(hidden.clone());
    let logits = ctx.read(output.logits.clone()).await?;
    let seg = usize::try_from(lm.tokenizer.ids().seg).ok();
    let seg_produced = seg == Some(sample(&logits, &[], &Draw::GREEDY));
    ctx.end();
    ctx.observer.ids("llm.input_ids", prompt);
    ctx.observe("llm.hidden", &hidden).await?;
    let all_logits = || lm.logits(hidden).unsqueeze::<3>();
    ctx.observe_with("llm.logits", all_logits).await?;
    ctx.observe("seg.hidden", &output.state).await?;
    Ok((output, seg_produced))
}

/// Decodes the mask of the forced `[SEG]`.
async fn decode_first_mask(
    lm: &LanguageContext<'_>,
    image: &ImageFeatures,
    output: &LmOutput,
    ctx: &mut CallContext,
) -> Result<DecodedMask, EngineError> {
    ctx.begin(Stage::Mask).await?;
    let mask = image.decode_mask(lm, &output.state, ctx).await?;
    ctx.end();
    let embedding = || lm.model.seg_embedding(output.state.clone());
    ctx.observe_with("seg.embedding", embedding).await?;
    let side = lm.config.sam.mask_side();
    ctx.observer
        .values("mask.logits", &[side, side], &mask.logits);
    if let Some(evidence) = &mask.evidence {
        ctx.observe("mask.evidence", evidence).await?;
    }
    Ok(mask)
}

/// Computes map, score and regions from all masks of a session. The map goes to the caller, score
/// and regions into the session.
pub(crate) async fn score_masks(
    session: &mut Session,
    loaded: &LoadedModel,
    ctx: &mut CallContext,
) -> Result<AnomalyMap, EngineError> {
    ctx.begin(Stage::Score).await?;
    let temperature = loaded.manifest.meta.threshold.temperature;
    let map = session.anomaly_map(loaded.logits_side(), temperature)?;
    let (width, height) = (map.width, map.height);
    session.score = image_score(&map.values, width, height, ScoreMode::Max)?;
    session.regions = regions(&map.values, width, height, session.thresholds.pixel)?;
    let shape = [height as usize, width as usize];
    ctx.observer.values("map", &shape, &map.values);
    ctx.end();
    Ok(map)
}
