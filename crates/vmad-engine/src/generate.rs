//! Generation of answers, token by token.

use burn::tensor::Tensor;
use vmad_model::llama::KvCache;
use vmad_prep::{Specials, StreamDecoder, Tokenizer};

use crate::call_context::CallContext;
use crate::image_features::ImageFeatures;
use crate::language_context::{LanguageContext, LmOutput};
use crate::lookahead::{SampledToken, TokenGenerator};
use crate::session::Session;
use crate::text_filter::{MarkerFilter, StopFilter};
use crate::{EngineError, Event, Generation, Stage, StopReason};

/// Maximum number of masks that are decoded for the `[SEG]` tokens of one answer. Without it, a
/// model that repeats itself could spend minutes on equal masks.
const MAX_MASKS: usize = 8;

/// How an answer starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerStart {
    /// The model writes the answer from its first word.
    Free,
    /// The words before `[SEG]` were forced, and the mask of the first `[SEG]` is decoded already.
    Forced,
}

/// The state of a session that decoding changes or reads.
struct DecodeState<'a> {
    cache: &'a mut KvCache,
    image: &'a ImageFeatures,
    /// The verdict on the photograph.
    is_anomalous: bool,
    /// What is added to the embedding of the last `[SEG]`, `[1, d_text]`.
    seg_conditioning: Option<Tensor<2>>,
}

/// A finished answer.
struct GeneratedAnswer {
    reason: StopReason,
    /// What the caller has received of it.
    text: String,
    /// Whether `[SEG]` is among its tokens.
    has_seg: bool,
    /// Logits of the masks of its `[SEG]` tokens, without the one that was decoded before.
    masks: Vec<Vec<f32>>,
    /// Ids that end the turn and are not in the cache yet.
    pending: Vec<i32>,
}

/// What the caller needs of a finished turn; the rest is in the session.
pub(crate) struct FinishedTurn {
    pub reason: StopReason,
    pub text: String,
    /// Whether the session has new masks, so that map and score are to be computed again.
    pub has_new_masks: bool,
}

/// Runs the language model over a further question and returns its last output.
pub(crate) async fn run_question(
    lm: &LanguageContext<'_>,
    session: &mut Session,
    question: &str,
    ctx: &mut CallContext,
) -> Result<LmOutput, EngineError> {
    ctx.begin(Stage::Llm).await?;
    let ids = lm.follow_up_ids(&session.pending, question)?;
    lm.check_room(session.cache.len() + ids.len() + 1)?;
    let conditioning = session.seg_conditioning.as_ref();
    let hidden = lm.forward_tokens(&ids, conditioning, &mut session.cache)?;
    let output = lm.last_output(hidden);
    ctx.synchronize(&output.state).await?;
    ctx.end();
    Ok(output)
}

/// Generates an answer after `output` and commits the turn to the session.
pub(crate) async fn answer(
    lm: &LanguageContext<'_>,
    session: &mut Session,
    output: LmOutput,
    start: AnswerStart,
    generation: &Generation,
    ctx: &mut CallContext,
) -> Result<FinishedTurn, EngineError> {
    ctx.begin(Stage::Generate).await?;
    let is_anomalous = session.is_anomalous();
    let mut state = DecodeState {
        cache: &mut session.cache,
        image: &session.image,
        is_anomalous,
        seg_conditioning: session.seg_conditioning.clone(),
    };
    let generated = generate(lm, output, start, &mut state, generation, ctx).await?;
    let seg_conditioning = state.seg_conditioning;
    ctx.end();

    // Nothing in this function can fail or be cancelled from here on: the turn is finished.
    session.n_committed = session.cache.len();
    session.pending = generated.pending;
    session.seg_conditioning = seg_conditioning;
    session.seg_produced = match start {
        AnswerStart::Forced => generated.has_seg,
        AnswerStart::Free => session.seg_produced || generated.has_seg,
    };
    let has_new_masks = !generated.masks.is_empty();
    session.masks.extend(generated.masks);
    Ok(FinishedTurn {
        reason: generated.reason,
        text: generated.text,
        has_new_masks,
    })
}

/// Generates the tokens of an answer and emits its text as [`Event::Token`]s.
async fn generate(
    lm: &LanguageContext<'_>,
    output: LmOutput,
    start: AnswerStart,
    state: &mut DecodeState<'_>,
    generation: &Generation,
    ctx: &mut CallContext,
) -> Result<GeneratedAnswer, EngineError> {
    let special = lm.tokenizer.ids();
    let mut tokens = TokenGenerator::new(lm, output, generation);
    let mut text = AnswerDecoder::new(lm, start, generation)?;
    let mut mask_is_known = start == AnswerStart::Forced;
    // The token that was sampled last, while it is not in the KV cache.
    let mut last_id = None;
    let mut answer = GeneratedAnswer {
        reason: StopReason::Length,
        text: String::new(),
        has_seg: false,
        masks: Vec::new(),
        pending: Vec::new(),
    };
    while let Some(token) = tokens.next(state.cache).await? {
        if token.id == special.eos {
            answer.reason = StopReason::End;
            tokens.end_before(&token, state.cache);
            break;
        }
        let is_seg = token.id == special.seg;
        if is_seg {
            answer.has_seg = true;
            if !mask_is_known && answer.masks.len() < MAX_MASKS {
                let logits = decode_further_mask(lm, &token, state, ctx).await?;
                answer.masks.push(logits);
            }
            let conditioning = state.seg_conditioning.clone();
            tokens.resume_after(&token, conditioning, state.cache);
        }
        mask_is_known = false;
        let (shown, is_stopped) = text.push(lm.tokenizer, token.id, is_seg);
        emit_text(shown, &mut answer.text, ctx).await;
        if is_stopped {
            answer.reason = StopReason::Stop;
            tokens.end_before(&token, state.cache);
            break;
        }
        ctx.yield_and_check().await?;
        last_id = Some(token.id);
    }
    finish_answer(lm, answer, text, last_id, ctx).await
}

/// Emits the text that the filters hold back, and adds the ids that end the turn.
async fn finish_answer(
    lm: &LanguageContext<'_>,
    mut answer: GeneratedAnswer,
    mut text: AnswerDecoder,
    last_id: Option<i32>,
    ctx: &CallContext,
) -> Result<GeneratedAnswer, EngineError> {
    if answer.reason == StopReason::Length {
        answer.pending.extend(last_id);
    }
    if answer.reason != StopReason::Stop {
        let (shown, is_stopped) = text.finish();
        emit_text(shown, &mut answer.text, ctx).await;
        if is_stopped {
            answer.reason = StopReason::Stop;
        }
    }
    let end = lm.tokenizer.encode(&lm.conversation.end, false)?;
    answer.pending.extend(end);
    Ok(answer)
}

/// Decodes the mask of a `[SEG]` that the model wrote, as a stage within the generation. Returns its
/// logits and sets the state's conditioning.
async fn decode_further_mask(
    lm: &LanguageContext<'_>,
    token: &SampledToken,
    state: &mut DecodeState<'_>,
    ctx: &mut CallContext,
) -> Result<Vec<f32>, EngineError> {
    ctx.end();
    ctx.begin(Stage::Mask).await?;
    let mask = state.image.decode_mask(lm, &token.state, ctx).await?;
    state.seg_conditioning = lm.seg_conditioning(mask.evidence, state.is_anomalous);
    ctx.end();
    ctx.begin(Stage::Generate).await?;
    Ok(mask.logits)
}

async fn emit_text(text: String, answer: &mut String, ctx: &CallContext) {
    if !text.is_empty() {
        answer.push_str(&text);
        ctx.emit(Event::Token { text }).await;
    }
}

/// From token ids to the text that the caller receives.
struct AnswerDecoder {
    decoder: StreamDecoder,
    marker: MarkerFilter,
    stops: StopFilter,
}

impl AnswerDecoder {
    fn new(
        lm: &LanguageContext<'_>,
        start: AnswerStart,
        generation: &Generation,
    ) -> Result<Self, EngineError> {
        let prefix = lm.templates.answer_prefix.as_str();
        let mut decoder = StreamDecoder::new(Specials::Skip);
        let mut marker = MarkerFilter::new(prefix);
        if start == AnswerStart::Forced {
            for id in lm.tokenizer.encode(prefix, false)? {
                let shown = marker.push(&decoder.push(lm.tokenizer, id));
                debug_assert!(shown.is_empty());
            }
        }
        let stops = StopFilter::new(&generation.stop);
        Ok(Self {
            decoder,
            marker,
            stops,
        })
    }

    /// The text that may be emitted after a token, and whether a stop string is reached.
    fn push(&mut self, tokenizer: &Tokenizer, id: i32, is_seg: bool) -> (String, bool) {
        let text = self.decoder.push(tokenizer, id);
        let mut shown = self.marker.push(&text);
        if is_seg {
            shown += &self.marker.mark();
        }
        self.stops.push(&shown)
    }

    /// The text that was held back until the end, and whether a stop string is in it.
    fn finish(&mut self) -> (String, bool) {
        let mut rest = self.marker.push(&self.decoder.finish());
        rest += &self.marker.finish();
        let (shown, is_stopped) = self.stops.push(&rest);
        if is_stopped {
            (shown, true)
        } else {
            (shown + &self.stops.finish(), false)
        }
    }
}
