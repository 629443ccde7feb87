//! Sampling of an answer's tokens with lookahead.
//!
//! A GPU samples each token itself and starts the next decoding step with it, while the host reads
//! the sampled ids a few steps later. This hides the time that a readback takes. Steps that were
//! launched beyond the end of an answer are discarded.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use burn::tensor::{Int, Tensor};
use futures::FutureExt;
use futures::future::{MaybeDone, maybe_done};
use vmad_kernels::{DeviceKind, Readback, SampledTokens};
use vmad_model::llama::KvCache;

use crate::language_context::{LanguageContext, LmOutput};
use crate::sampling::Sampler;
use crate::{EngineError, Generation, Stage};

/// Lookahead on a GPU: covers the few milliseconds that a readback takes in a browser, and wastes
/// little at the end of an answer.
const N_LOOKAHEAD_GPU: usize = 3;

/// Decoding steps to launch before the token in front of them is read. None on the CPU, which
/// computes synchronously, so that a discarded step would cost its full time.
pub(crate) fn n_lookahead(kind: &DeviceKind) -> usize {
    match kind {
        DeviceKind::Cpu => 0,
        DeviceKind::Gpu { .. } => N_LOOKAHEAD_GPU,
    }
}

/// A token of an answer.
pub(crate) struct SampledToken {
    pub id: i32,
    /// The hidden state that predicted it, `[1, d_text]`.
    pub state: Tensor<2>,
    /// Its index in the answer.
    index: usize,
    /// Positions in the cache before it.
    n_cached: usize,
    /// The token on the device, see [`PendingToken::sampled`].
    sampled: Tensor<1, Int>,
}

/// A token whose id may still be on its way from the device.
struct PendingToken {
    /// `[1, d_text]`
    state: Tensor<2>,
    n_cached: usize,
    /// The id, and a mark that is not 0 if the logits were not finite, `[2]`.
    sampled: Tensor<1, Int>,
    readback: MaybeDone<Readback>,
}

/// Where the next token is sampled from.
enum NextInput {
    /// An output that is computed already.
    Output(LmOutput),
    /// The token that was sampled last, `[2]`, with an addend for its embedding, `[1, d_text]`.
    Token(Tensor<1, Int>, Option<Tensor<2>>),
}

/// Generates the tokens of an answer one after the other.
pub(crate) struct TokenGenerator<'a> {
    lm: &'a LanguageContext<'a>,
    sampler: Sampler,
    /// The sampled tokens on the device, for the repetition penalty.
    on_device: SampledTokens,
    /// Sampled and not yet returned.
    pending: VecDeque<PendingToken>,
    n_sampled: usize,
    max_new_tokens: usize,
    next: NextInput,
}

impl<'a> TokenGenerator<'a> {
    /// Generates the tokens that follow `output`, at most as many as `generation` allows.
    pub fn new(lm: &'a LanguageContext<'a>, output: LmOutput, generation: &Generation) -> Self {
        Self {
            sampler: Sampler::new(generation),
            on_device: SampledTokens::new(generation.max_new_tokens, lm.device),
            pending: VecDeque::new(),
            n_sampled: 0,
            max_new_tokens: generation.max_new_tokens,
            next: NextInput::Output(output),
            lm,
        }
    }

    /// The next token. `None` when the answer has its maximum length or the context is full; the
    /// cache then has no keys and values of the last token.
    pub async fn next(&mut self, cache: &mut KvCache) -> Result<Option<SampledToken>, EngineError> {
        while self.pending.len() <= self.lm.n_lookahead && self.has_room(cache) {
            self.launch(cache).await?;
        }
        let Some(mut token) = self.pending.pop_front() else {
            return Ok(None);
        };
        (&mut token.readback).await;
        let read = Pin::new(&mut token.readback).take_output();
        let [id, mark] = id_and_mark(read.unwrap_or_else(|| unreachable!("just awaited")))?;
        if mark != 0 {
            return Err(EngineError::NonFinite { stage: Stage::Llm });
        }
        Ok(Some(SampledToken {
            id,
            state: token.state,
            index: self.n_sampled - self.pending.len() - 1,
            n_cached: token.n_cached,
            sampled: token.sampled,
        }))
    }

    /// Discards all steps after `token` and continues from it, with `addend` added to its embedding.
    ///
    /// # Shapes
    /// - addend: `[1, d_text]`
    pub fn resume_after(
        &mut self,
        token: &SampledToken,
        addend: Option<Tensor<2>>,
        cache: &mut KvCache,
    ) {
        self.pending.clear();
        self.n_sampled = token.index + 1;
        self.on_device.truncate(self.n_sampled);
        cache.truncate(token.n_cached);
        self.next = NextInput::Token(token.sampled.clone(), addend);
    }

    /// Ends the answer and cuts the cache back to before `token`.
    pub fn end_before(self, token: &SampledToken, cache: &mut KvCache) {
        cache.truncate(token.n_cached);
    }

    fn has_room(&self, cache: &KvCache) -> bool {
        let limit = self.lm.config.llm.max_positions;
        let is_computed = matches!(self.next, NextInput::Output(_));
        self.n_sampled < self.max_new_tokens && (is_computed || cache.len() < limit)
    }

    /// Launches the sampling of one more token and the readback of its id.
    async fn launch(&mut self, cache: &mut KvCache) -> Result<(), EngineError> {
        let output = self.next_output(cache)?;
        let draw = self.sampler.draw(self.n_sampled);
        let sampled = self.on_device.next(output.logits, draw); // [2]
        self.n_sampled += 1;
        self.next = NextInput::Token(sampled.clone(), None);
        let mut readback = maybe_done(Readback::new(sampled.clone().into_data_async()));
        // One poll starts the copy before the next step is launched.
        poll_fn(|context| {
            let _ = readback.poll_unpin(context);
            Poll::Ready(())
        })
        .await;
        self.pending.push_back(PendingToken {
            state: output.state,
            n_cached: cache.len(),
            sampled,
            readback,
        });
        Ok(())
    }

    /// The output that predicts the next token: one decoding step, unless it is computed already.
    fn next_output(&mut self, cache: &mut KvCache) -> Result<LmOutput, EngineError> {
        let (token, addend) = match &mut self.next {
            NextInput::Output(output) => {
                return Ok(LmOutput {
                    state: output.state.clone(),
                    logits: output.logits.clone(),
                });
            }
            NextInput::Token(token, addend) => (token.clone(), addend.take()),
        };
        let llm = &self.lm.model.llm;
        let mut x = llm.embed_chosen(token.narrow(0, 0, 1)); // [1, d_text]
        if let Some(addend) = addend {
            x = x + addend;
        }
        Ok(self.lm.last_output(llm.forward(x.unsqueeze::<3>(), cache)?))
    }
}

/// The id of a sampled token and its mark.
fn id_and_mark(read: <Readback as Future>::Output) -> Result<[i32; 2], EngineError> {
    let failed = |reason: String| EngineError::Readback {
        stage: Stage::Generate,
        reason,
    };
    let data = read.map_err(|error| failed(error.to_string()))?;
    let values = data.try_to_vec::<i32>();
    let values = values.map_err(|error| failed(format!("{error:?}")))?;
    let n = values.len();
    <[i32; 2]>::try_from(values).map_err(|_| failed(format!("{n} numbers, should be 2")))
}
