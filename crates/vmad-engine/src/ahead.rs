//! Tokens of an answer, some of them chosen before the one in front of them is known here: a GPU goes on with
//! the token that it has chosen itself, and what it chose is read a few steps behind.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use burn::tensor::{Int, Tensor};
use futures::FutureExt;
use futures::future::{MaybeDone, maybe_done};
use vmad_kernels::{DeviceKind, Readback, SampledTokens};
use vmad_model::llama::KvCache;

use crate::sampling::Dice;
use crate::speech::{Brain, Standing};
use crate::{EngineError, Generation, Stage};

/// Steps that a GPU is given beyond the token that is waited for: enough for the few milliseconds in which a
/// browser hands a result over, and few enough to be thrown away at the end of an answer.
const ON_GPU: usize = 3;

/// Steps to launch beyond the token that is waited for. The CPU computes when it is asked, so that each would
/// only be one that may have to be thrown away.
pub(crate) fn depth(kind: &DeviceKind) -> usize {
    match kind {
        DeviceKind::Cpu => 0,
        DeviceKind::Gpu { .. } => ON_GPU,
    }
}

/// A token of an answer.
pub(crate) struct Token {
    pub id: i32,
    /// What predicted it, `[1, d_text]`.
    pub state: Tensor<2>,
    /// Its place in the answer.
    index: usize,
    /// Positions that were heard before it.
    heard: usize,
    chosen: Tensor<1, Int>,
}

/// A token that was chosen, and may not be known here.
struct Step {
    /// `[1, d_text]`
    state: Tensor<2>,
    heard: usize,
    /// The token and its mark, `[2]`.
    chosen: Tensor<1, Int>,
    reading: MaybeDone<Readback>,
}

/// Tokens of an answer, one after the other.
pub(crate) struct Tokens<'a> {
    brain: &'a Brain<'a>,
    dice: Dice,
    answer: SampledTokens,
    /// Chosen and not taken yet.
    steps: VecDeque<Step>,
    /// How many were chosen in all.
    n_chosen: usize,
    most: usize,
    /// Where the next token begins, unless it is after `last`.
    standing: Option<Standing>,
    /// The token that was chosen last.
    last: Option<Tensor<1, Int>>,
    /// What is added to the embedding of `last`.
    told: Option<Tensor<2>>,
}

impl<'a> Tokens<'a> {
    /// Tokens after `standing`, as many as `generation` allows.
    pub fn new(brain: &'a Brain<'a>, standing: Standing, generation: &Generation) -> Self {
        Self {
            dice: Dice::new(generation),
            answer: SampledTokens::new(generation.max_new_tokens, brain.device),
            steps: VecDeque::new(),
            n_chosen: 0,
            most: generation.max_new_tokens,
            standing: Some(standing),
            last: None,
            told: None,
            brain,
        }
    }

    /// The next token. None where the answer is as long as it may be, or the context full; the last token has
    /// not been heard then.
    pub async fn next(&mut self, cache: &mut KvCache) -> Result<Option<Token>, EngineError> {
        while self.steps.len() <= self.brain.ahead && self.has_room(cache) {
            self.choose(cache).await?;
        }
        let Some(mut step) = self.steps.pop_front() else {
            return Ok(None);
        };
        (&mut step.reading).await;
        let read = Pin::new(&mut step.reading).take_output();
        let [id, mark] = pair(read.unwrap_or_else(|| unreachable!("just awaited")))?;
        if mark != 0 {
            return Err(EngineError::NonFinite { stage: Stage::Llm });
        }
        Ok(Some(Token {
            id,
            state: step.state,
            index: self.n_chosen - self.steps.len() - 1,
            heard: step.heard,
            chosen: step.chosen,
        }))
    }

    /// Forgets what came after `token`, which is to be heard again with `told` added to its embedding.
    pub fn go_back(&mut self, token: &Token, told: Option<Tensor<2>>, cache: &mut KvCache) {
        self.steps.clear();
        self.n_chosen = token.index + 1;
        self.answer.truncate(self.n_chosen);
        cache.truncate(token.heard);
        self.standing = None;
        self.last = Some(token.chosen.clone());
        self.told = told;
    }

    /// Ends the answer before `token`: it is not heard.
    pub fn end(self, token: &Token, cache: &mut KvCache) {
        cache.truncate(token.heard);
    }

    fn has_room(&self, cache: &KvCache) -> bool {
        let limit = self.brain.config.llm.max_positions;
        self.n_chosen < self.most && (self.standing.is_some() || cache.len() < limit)
    }

    /// Launches the choice of one more token, after the one before it was heard.
    async fn choose(&mut self, cache: &mut KvCache) -> Result<(), EngineError> {
        let standing = match (self.standing.take(), self.last.take()) {
            (Some(standing), _) => standing,
            (None, Some(last)) => self.hear(last, cache)?,
            (None, None) => unreachable!("an answer begins with a standing"),
        };
        let draw = self.dice.nth(self.n_chosen);
        let chosen = self.answer.next(standing.logits, draw);
        self.n_chosen += 1;
        self.last = Some(chosen.clone());
        let mut reading = maybe_done(Readback::new(chosen.clone().into_data_async()));
        // Once, so that the copy is on its way before the next step is launched.
        poll_fn(|context| {
            let _ = reading.poll_unpin(context);
            Poll::Ready(())
        })
        .await;
        self.steps.push_back(Step {
            state: standing.state,
            heard: cache.len(),
            chosen,
            reading,
        });
        Ok(())
    }

    fn hear(&mut self, last: Tensor<1, Int>, cache: &mut KvCache) -> Result<Standing, EngineError> {
        let llm = &self.brain.model.llm;
        let mut x = llm.embed_chosen(last.narrow(0, 0, 1));
        if let Some(told) = self.told.take() {
            x = x + told;
        }
        Ok(self.brain.stand(llm.forward(x.unsqueeze::<3>(), cache)?))
    }
}

/// A token and its mark.
fn pair(read: <Readback as Future>::Output) -> Result<[i32; 2], EngineError> {
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
