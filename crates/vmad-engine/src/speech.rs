//! Token after token: the language model continues a conversation.

use burn::tensor::{Device, Tensor, s};
use vmad_model::llama::KvCache;
use vmad_model::{Vmad, VmadConfig};
use vmad_package::{Conversation, Templates};
use vmad_prep::{IMAGE_SENTINEL, Specials, StreamDecoder, Tokenizer};

use crate::ahead::Tokens;
use crate::pace::Pace;
use crate::sight::Sight;
use crate::words::{MarkerFilter, StopFilter};
use crate::{EngineError, Event, Generation, Stage, StopReason};

/// Most `[SEG]` tokens of one answer whose masks are decoded. A model that repeats itself would
/// otherwise spend minutes on masks that are all the same.
const MAX_MASKS: usize = 8;

/// The parts that take part in a conversation; they never change.
#[derive(Clone, Copy)]
pub(crate) struct Brain<'a> {
    pub model: &'a Vmad,
    pub config: &'a VmadConfig,
    pub tokenizer: &'a Tokenizer,
    pub conversation: &'a Conversation,
    pub templates: &'a Templates,
    pub device: &'a Device,
    /// Steps to launch beyond the token that is waited for.
    pub ahead: usize,
}

/// Where the language model stands: its last state, which predicts the next token.
pub(crate) struct Standing {
    /// `[1, d_text]`, after the final norm.
    pub state: Tensor<2>,
    /// `[1, vocab_size]`
    pub logits: Tensor<2>,
}

/// What the language model hears while it speaks.
pub(crate) struct Ear<'a> {
    pub cache: &'a mut KvCache,
    pub sight: &'a Sight,
    /// The verdict on the photograph.
    pub is_anomalous: bool,
    /// What the words are told of the last mask, `[1, d_text]`, where the model takes evidence.
    pub told: Option<Tensor<2>>,
}

/// Whether an answer's first words were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// The answer is the model's from its first word.
    Free,
    /// The words before `[SEG]` were given, and the mask of the standing is decoded already.
    Forced,
}

/// A finished answer.
pub(crate) struct Spoken {
    pub reason: StopReason,
    pub answer: String,
    /// Whether `[SEG]` was among its tokens.
    pub has_seg: bool,
    /// Logits of the masks of its `[SEG]`s, but for one that was known before.
    pub masks: Vec<Vec<f32>>,
    /// Ids that close the turn and are not in the cache yet.
    pub pending: Vec<i32>,
}

impl Brain<'_> {
    /// Fails when a turn of `needed` positions in all does not fit.
    pub fn check_room(&self, needed: usize) -> Result<(), EngineError> {
        let limit = self.config.llm.max_positions;
        if needed > limit {
            return Err(EngineError::ContextFull { needed, limit });
        }
        Ok(())
    }

    /// Hidden states of a prompt with a photograph's tokens `[1, n_visual, d_text]` in it,
    /// `[1, n, d_text]`.
    pub fn hear_photo(
        &self,
        ids: &[i32],
        visual: &Tensor<3>,
        cache: &mut KvCache,
    ) -> Result<Tensor<3>, EngineError> {
        let x = self
            .model
            .embed_prompt(ids, IMAGE_SENTINEL, Some(visual), self.device)?;
        Ok(self.model.llm.forward(x, cache)?)
    }

    /// What a mask holds together with the verdict, `[1, d_text]`, where the model takes evidence.
    pub fn judged(&self, held: Option<Tensor<2>>, is_anomalous: bool) -> Option<Tensor<2>> {
        let evidence = self.model.evidence.as_ref()?;
        Some(evidence.with_verdict(held?, &[is_anomalous]))
    }

    /// Hidden states of new positions, `[1, n, d_text]`. `told` is added to the embedding of a
    /// `[SEG]` among them, `[1, d_text]`.
    pub fn hear(
        &self,
        ids: &[i32],
        told: Option<&Tensor<2>>,
        cache: &mut KvCache,
    ) -> Result<Tensor<3>, EngineError> {
        let seg = self.tokenizer.ids().seg;
        let mut x = self.model.llm.embed(ids, self.device)?;
        if let (Some(at), Some(told)) = (ids.iter().position(|id| *id == seg), told) {
            let row = x.clone().narrow(0, at, 1) + told.clone();
            x = x.slice_assign(s![at..at + 1, ..], row);
        }
        Ok(self.model.llm.forward(x.unsqueeze::<3>(), cache)?)
    }

    /// The standing after hidden states `[1, n, d_text]`.
    pub fn stand(&self, hidden: Tensor<3>) -> Standing {
        let [_, n, d_text] = hidden.dims();
        let state = hidden.narrow(1, n - 1, 1).reshape([1, d_text]);
        let logits = self.model.llm.logits(state.clone());
        Standing { state, logits }
    }

    /// Ids that close a turn whose answer has been given up to the word before `[SEG]`.
    pub fn close_forced(&self) -> Result<Vec<i32>, EngineError> {
        let rest = format!("[SEG].{}", self.conversation.end);
        Ok(self.tokenizer.encode(&rest, false)?)
    }

    /// Lets the model write an answer, told as [`Event::Token`]s.
    pub async fn speak(
        &self,
        standing: Standing,
        opening: Opening,
        ear: &mut Ear<'_>,
        generation: &Generation,
        pace: &mut Pace,
    ) -> Result<Spoken, EngineError> {
        let ids = self.tokenizer.ids();
        let mut tokens = Tokens::new(self, standing, generation);
        let mut voice = Voice::new(self, opening, generation)?;
        let mut is_first = true;
        let mut unheard = None;
        let mut spoken = Spoken {
            reason: StopReason::Length,
            answer: String::new(),
            has_seg: false,
            masks: Vec::new(),
            pending: Vec::new(),
        };
        while let Some(token) = tokens.next(ear.cache).await? {
            let id = token.id;
            if id == ids.eos {
                spoken.reason = StopReason::End;
                tokens.end(&token, ear.cache);
                break;
            }
            if id == ids.seg {
                spoken.has_seg = true;
                let decoded = opening == Opening::Forced && is_first;
                if !decoded && spoken.masks.len() < MAX_MASKS {
                    pace.end(Stage::Generate);
                    pace.begin(Stage::Mask).await?;
                    let found = ear.sight.find(self, &token.state).await?;
                    spoken.masks.push(found.logits);
                    ear.told = self.judged(found.held, ear.is_anomalous);
                    pace.end(Stage::Mask);
                    pace.begin(Stage::Generate).await?;
                }
                tokens.go_back(&token, ear.told.clone(), ear.cache);
            }
            is_first = false;
            let (text, stopped) = voice.push(self.tokenizer, id, id == ids.seg);
            tell(text, &mut spoken.answer, pace).await;
            if stopped {
                spoken.reason = StopReason::Stop;
                tokens.end(&token, ear.cache);
                break;
            }
            pace.breathe().await?;
            unheard = Some(id);
        }
        if spoken.reason == StopReason::Length {
            spoken.pending.extend(unheard);
        }
        if spoken.reason != StopReason::Stop {
            let (text, stopped) = voice.finish();
            tell(text, &mut spoken.answer, pace).await;
            if stopped {
                spoken.reason = StopReason::Stop;
            }
        }
        let end = self.tokenizer.encode(&self.conversation.end, false)?;
        spoken.pending.extend(end);
        Ok(spoken)
    }
}

async fn tell(text: String, answer: &mut String, pace: &Pace) {
    if !text.is_empty() {
        answer.push_str(&text);
        pace.out.emit(Event::Token { text }).await;
    }
}

/// Tokens to what a reader sees.
struct Voice {
    decoder: StreamDecoder,
    marker: MarkerFilter,
    stops: StopFilter,
}

impl Voice {
    fn new(
        brain: &Brain<'_>,
        opening: Opening,
        generation: &Generation,
    ) -> Result<Self, EngineError> {
        let prefix = brain.templates.answer_prefix.as_str();
        let mut decoder = StreamDecoder::new(Specials::Skip);
        let mut marker = MarkerFilter::new(prefix);
        if opening == Opening::Forced {
            for id in brain.tokenizer.encode(prefix, false)? {
                let held = marker.push(&decoder.push(brain.tokenizer, id));
                debug_assert!(held.is_empty());
            }
        }
        let stops = StopFilter::new(&generation.stop);
        Ok(Self {
            decoder,
            marker,
            stops,
        })
    }

    /// What may be shown, and whether a stop string has been met.
    fn push(&mut self, tokenizer: &Tokenizer, id: i32, is_seg: bool) -> (String, bool) {
        let text = self.decoder.push(tokenizer, id);
        let mut shown = self.marker.push(&text);
        if is_seg {
            shown += &self.marker.mark();
        }
        self.stops.push(&shown)
    }

    fn finish(&mut self) -> (String, bool) {
        let mut rest = self.marker.push(&self.decoder.finish());
        rest += &self.marker.finish();
        let (shown, stopped) = self.stops.push(&rest);
        if stopped {
            (shown, true)
        } else {
            (shown + &self.stops.finish(), false)
        }
    }
}
