//! A photograph's way through the model, and the conversation about it.
//!
//! The mask comes from the scoring mode (§7 of the specification): the answer `It is` is given, and
//! the state at its last word, which predicts `[SEG]`, is the mask prompt. No sampling takes part,
//! so every photograph gets a mask and a score, and the same ones each time. When words are asked
//! for, that very pass is their prompt: the model goes on from `It is` over the same keys and
//! values. Each further `[SEG]` that it writes adds its mask by the pixelwise maximum.
//!
//! A turn that fails, is cancelled or whose stream is dropped leaves no trace: the keys and values
//! are cut back to the end of the turn before it.

use std::rc::Rc;

use burn::tensor::{Tensor, TensorData};
use vmad_kernels::Draw;
use vmad_kernels::reference::sample;
use vmad_model::clip::ClipOutput;
use vmad_model::config::SimilaritySource;
use vmad_model::evidence::Features;
use vmad_model::llama::KvCache;
use vmad_model::similarity::sam_prior;
use vmad_prep::{
    IMAGE_SENTINEL, PhotoFrame, PrepError, Prior, Region, RgbImage, SamInput, ScoreMode,
    anomaly_map, clip_pixels, image_score, regions, sam_input, union_max, upscale_logits,
};

use crate::pace::{Pace, read, settle};
use crate::query::CheckedQuery;
use crate::sight::{Found, Sight, decoded};
use crate::speech::{Brain, Ear, Opening, Spoken, Standing};
use crate::trace::{Trace, TraceData};
use crate::{
    CancelToken, Engine, EngineError, Event, EventStream, Generation, Inspection, Photo, Query,
    Stage, StopReason,
};

/// A photograph that has been looked at, and what was said about it.
pub(crate) struct Session {
    frame: PhotoFrame,
    sight: Sight,
    pub(crate) cache: KvCache,
    /// Positions of the cache that belong to finished turns.
    committed: usize,
    /// Ids that close the last finished turn and are not in the cache yet.
    pub(crate) pending: Vec<i32>,
    /// What the mask of the `[SEG]` among them holds, and the verdict.
    pub(crate) told: Option<Tensor<2>>,
    /// Logits of each mask, `[4·grid, 4·grid]`.
    masks: Vec<Vec<f32>>,
    seg_produced: bool,
    threshold: f32,
    map_threshold: f32,
    score: f32,
    regions: Vec<Region>,
}

impl Session {
    /// Bytes of keys and values, and of image features.
    pub fn bytes(&self) -> (u64, u64) {
        (self.cache.bytes() as u64, self.sight.bytes())
    }

    /// The verdict.
    fn is_anomalous(&self) -> bool {
        self.score >= self.threshold
    }

    /// Forgets a turn that did not come to its end.
    pub(crate) fn roll_back(&mut self) {
        self.cache.truncate(self.committed);
    }

    /// Anomaly map at the photograph's size: the largest of all masks at each pixel.
    fn map(&self, side: u32, temperature: f32) -> Result<Vec<f32>, PrepError> {
        let masks = self.masks.iter();
        let union = union_max(masks.map(|logits| upscale_logits(logits, side, &self.frame)))?;
        // The logistic function rises everywhere, so the union may be taken before it.
        Ok(anomaly_map(&union, temperature))
    }
}

/// What the vision branches made of a photograph.
struct Seen {
    frame: PhotoFrame,
    /// `[1, n_visual, d_text]`
    visual: Tensor<3>,
    sight: Sight,
}

impl Engine {
    /// Inspects a photograph and starts a new conversation about it.
    ///
    /// Where the photograph or the query cannot be used, the conversation about the photograph
    /// before it goes on. From the first look on it is forgotten; if the call is given up before
    /// the verdict, there is no photograph to ask about.
    pub fn inspect(
        &mut self,
        photo: impl Into<Photo>,
        query: Query,
        cancel: &CancelToken,
    ) -> EventStream<'_> {
        let (photo, cancel) = (photo.into(), cancel.clone());
        EventStream::new(move |out| async move {
            let n_stages = 7
                + u64::from(self.config.needs_prior())
                + u64::from(self.config.sam_compares(SimilaritySource::Clip))
                + match query.ask {
                    crate::Ask::None => 0,
                    crate::Ask::Free(_) => 2,
                    _ => 1,
                };
            let mut pace = Pace::new(Rc::clone(&self.host), cancel, out, n_stages);
            let result = self.run_inspect(photo, query, &mut pace).await;
            self.close(result, pace).await
        })
    }

    /// Asks a further question about the photograph, reusing its features and everything said.
    pub fn ask(
        &mut self,
        question: impl Into<String>,
        generation: Generation,
        cancel: &CancelToken,
    ) -> EventStream<'_> {
        let (question, cancel) = (question.into(), cancel.clone());
        EventStream::new(move |out| async move {
            let mut pace = Pace::new(Rc::clone(&self.host), cancel, out, 2);
            let result = self.run_ask(&question, &generation, &mut pace).await;
            self.close(result, pace).await
        })
    }

    async fn close(
        &mut self,
        result: Result<StopReason, EngineError>,
        pace: Pace,
    ) -> Result<(), EngineError> {
        if let Some(session) = &mut self.session {
            session.roll_back();
        }
        self.timings = pace.timings;
        let reason = match result {
            Ok(reason) => reason,
            Err(EngineError::Cancelled) => StopReason::Cancelled,
            Err(error) => return Err(error),
        };
        pace.out.emit(Event::Done { reason }).await;
        Ok(())
    }

    async fn run_inspect(
        &mut self,
        photo: Photo,
        query: Query,
        pace: &mut Pace,
    ) -> Result<StopReason, EngineError> {
        let query = CheckedQuery::new(query, &self.tokenizer)?;
        let ids = self.scoring_ids(&query)?;
        let photo = decoded(photo, pace).await?;
        self.session = None;
        if self.trace.is_some() {
            self.start_trace();
        }

        let seen = self.look(&photo, pace).await?;
        drop(photo);
        let (standing, held) = self.score(seen, &ids, &query, pace).await?;
        self.judge(pace).await?;
        self.tell_words(held)?;
        self.tell_result(String::new(), pace).await?;
        if let Some(question) = &query.question {
            return self.take_turn(question, &query.generation, pace).await;
        }
        if query.topic.is_none() {
            return Ok(StopReason::End);
        }
        let opening = Opening::Forced;
        self.answer(standing, opening, &query.generation, pace)
            .await
    }

    async fn run_ask(
        &mut self,
        question: &str,
        generation: &Generation,
        pace: &mut Pace,
    ) -> Result<StopReason, EngineError> {
        generation.check()?;
        self.brain_and_session()?.1.roll_back();
        let question = self.tokenizer.question(question)?;
        self.take_turn(&question, generation, pace).await
    }

    /// Ids of the scoring prompt, once it is known that the whole call fits the context.
    fn scoring_ids(&self, query: &CheckedQuery) -> Result<Vec<i32>, EngineError> {
        let brain = self.brain();
        let question = brain
            .templates
            .question(query.object.as_deref(), query.topic);
        let prompt = brain
            .conversation
            .first_turn(&question, query.normal.as_deref());
        let prompt = format!("{prompt} {}", brain.templates.answer_prefix);
        let ids = brain.tokenizer.encode_with_image(&prompt)?;
        let n_positions = ids.len() - 1 + self.config.projector.n_visual();
        let follow_up = match &query.question {
            Some(question) => follow_up_ids(&brain, &brain.close_forced()?, question)?.len() + 1,
            None => 0,
        };
        brain.check_room(n_positions + follow_up)?;
        Ok(ids)
    }

    /// The vision branches.
    async fn look(&mut self, photo: &RgbImage, pace: &mut Pace) -> Result<Seen, EngineError> {
        let device = self.chosen.device.clone();
        let square = |values: Vec<f32>, channels: usize, side: usize| {
            let data = TensorData::new(values, [1, channels, side, side]);
            Tensor::<4>::from_data(data, &device)
        };

        let frame = self.config.photo_frame(photo.dimensions());
        let sam = sam_input(photo, &frame);
        let (clip_prior, for_sam) = self.weigh(&sam, pace).await?;
        let sam_values = sam.pixels;

        pace.begin(Stage::Clip).await?;
        let side = self.config.clip.image_size;
        let pixels = clip_pixels(photo, &frame);
        if let Some(trace) = &mut self.trace {
            trace.add_values("clip.pixels", &[3, side, side], &pixels);
        }
        let ClipOutput {
            hidden_states,
            taps,
        } = self.model.clip.forward(square(pixels, 3, side), clip_prior);
        if let Some(last) = hidden_states.last() {
            settle(Stage::Clip, last).await?;
        }
        if let Some(trace) = &mut self.trace {
            for (i, state) in hidden_states.iter().enumerate() {
                let name = format!("clip.hidden.{i}");
                trace.add_tensor(name, Stage::Clip, state, 2).await?;
            }
        }
        drop(hidden_states);
        pace.end(Stage::Clip);

        pace.begin(Stage::Projector).await?;
        let visual = self.model.project(&taps);
        settle(Stage::Projector, &visual).await?;
        if let Some(trace) = &mut self.trace {
            trace
                .add_tensor("projector.out", Stage::Projector, &visual, 2)
                .await?;
        }
        pace.end(Stage::Projector);
        let for_sam = match for_sam {
            None => self.weigh_features(&taps, &frame, pace).await?,
            prior => prior,
        };
        let taps = match self.model.evidence {
            Some(_) => taps,
            None => Vec::new(),
        };

        pace.begin(Stage::Sam).await?;
        let side = self.config.sam.image_size;
        if let Some(trace) = &mut self.trace {
            trace.add_values("sam.pixels", &[3, side, side], &sam_values);
        }
        let image = self.model.sam_encoder.forward(square(sam_values, 3, side));
        settle(Stage::Sam, &image).await?;
        if let Some(trace) = &mut self.trace {
            trace
                .add_tensor("sam.image_embedding", Stage::Sam, &image, 3)
                .await?;
        }
        pace.end(Stage::Sam);
        let features = Features {
            taps,
            image,
            frames: vec![frame],
        };
        Ok(Seen {
            frame,
            visual,
            sight: Sight {
                features,
                prior: for_sam,
            },
        })
    }

    /// The patch-similarity prior as CLIP's and as SAM's branch take it, each where the model does.
    async fn weigh(
        &mut self,
        sam: &SamInput,
        pace: &mut Pace,
    ) -> Result<(Option<Tensor<4>>, Option<Tensor<4>>), EngineError> {
        if !self.config.needs_prior() {
            return Ok((None, None));
        }
        pace.begin(Stage::Prior).await?;
        let prior = self.prior_of(sam);
        let mut give = |name: &str, values: Vec<f32>, channels: usize, side: usize| {
            let shape = [1, channels, side, side];
            if let Some(trace) = &mut self.trace {
                trace.add_values(name, &shape[1..], &values);
            }
            Tensor::<4>::from_data(TensorData::new(values, shape), &self.chosen.device)
        };
        let (clip, sam) = (&self.config.clip, &self.config.sam);
        let for_clip = clip.similarity_prompt.then(|| {
            let side = clip.prior_side();
            let values = prior.for_clip(side as u32);
            give("clip.similarity", values, Prior::CLIP_CHANNELS, side)
        });
        let for_sam = self.config.sam_compares(SimilaritySource::Pixels).then(|| {
            let side = sam.mask_side();
            give("sam.mask_prompt", prior.for_sam(side as u32), 1, side)
        });
        pace.end(Stage::Prior);
        Ok((for_clip, for_sam))
    }

    /// The patch-similarity prior of SAM's branch where it compares CLIP's features.
    async fn weigh_features(
        &mut self,
        taps: &[Tensor<3>],
        frame: &PhotoFrame,
        pace: &mut Pace,
    ) -> Result<Option<Tensor<4>>, EngineError> {
        if !self.config.sam_compares(SimilaritySource::Clip) {
            return Ok(None);
        }
        pace.begin(Stage::Prior).await?;
        let tap = taps[self.config.similarity_tap()].clone();
        let prior = sam_prior(tap, &self.config, &[*frame]);
        settle(Stage::Prior, &prior).await?;
        if let Some(trace) = &mut self.trace {
            trace
                .add_tensor("sam.mask_prompt", Stage::Prior, &prior, 3)
                .await?;
        }
        pace.end(Stage::Prior);
        Ok(Some(prior))
    }

    /// The scoring pass; afterwards there is a session. Besides, what the mask holds.
    async fn score(
        &mut self,
        seen: Seen,
        ids: &[i32],
        query: &CheckedQuery,
        pace: &mut Pace,
    ) -> Result<(Standing, Option<Tensor<2>>), EngineError> {
        pace.begin(Stage::Llm).await?;
        let mut trace = self.trace.take();
        let brain = self.brain();
        let mut cache = KvCache::new(&self.config.llm);
        let hidden = brain.hear_photo(ids, &seen.visual, &mut cache)?;
        let standing = brain.stand(hidden.clone());
        let scores = read(Stage::Llm, standing.logits.clone()).await?;
        pace.end(Stage::Llm);

        pace.begin(Stage::Mask).await?;
        let found = seen.sight.find(&brain, &standing.state).await?;
        pace.end(Stage::Mask);
        if let Some(trace) = &mut trace {
            trace_scoring(&brain, ids, hidden, &standing.state, &found, trace).await?;
        }
        let seg = usize::try_from(brain.tokenizer.ids().seg).ok();
        let own = &self.manifest.meta.threshold;
        let session = Session {
            frame: seen.frame,
            committed: cache.len(),
            pending: brain.close_forced()?,
            masks: vec![found.logits],
            told: None,
            seg_produced: seg == Some(sample(&scores, &[], &Draw::GREEDY)),
            threshold: query.threshold.unwrap_or(own.image),
            map_threshold: query.map_threshold.unwrap_or(own.pixel),
            score: 0.0,
            regions: Vec::new(),
            sight: seen.sight,
            cache,
        };
        self.session = Some(session);
        self.trace = trace;
        Ok((standing, found.held))
    }

    /// What the words are to know of the first mask: what it holds, and the verdict.
    fn tell_words(&mut self, held: Option<Tensor<2>>) -> Result<(), EngineError> {
        let (brain, session) = self.brain_and_session()?;
        session.told = brain.judged(held, session.is_anomalous());
        Ok(())
    }

    /// A question and its answer, after the turns before them.
    async fn take_turn(
        &mut self,
        question: &str,
        generation: &Generation,
        pace: &mut Pace,
    ) -> Result<StopReason, EngineError> {
        pace.begin(Stage::Llm).await?;
        let (brain, session) = self.brain_and_session()?;
        let ids = follow_up_ids(&brain, &session.pending, question)?;
        brain.check_room(session.cache.len() + ids.len() + 1)?;
        let hidden = brain.hear(&ids, session.told.as_ref(), &mut session.cache)?;
        let standing = brain.stand(hidden);
        settle(Stage::Llm, &standing.state).await?;
        pace.end(Stage::Llm);
        self.answer(standing, Opening::Free, generation, pace).await
    }

    async fn answer(
        &mut self,
        standing: Standing,
        opening: Opening,
        generation: &Generation,
        pace: &mut Pace,
    ) -> Result<StopReason, EngineError> {
        pace.begin(Stage::Generate).await?;
        let (brain, session) = self.brain_and_session()?;
        let is_anomalous = session.is_anomalous();
        let mut ear = Ear {
            cache: &mut session.cache,
            sight: &session.sight,
            is_anomalous,
            told: session.told.clone(),
        };
        let Spoken {
            reason,
            answer,
            has_seg,
            masks,
            pending,
        } = brain
            .speak(standing, opening, &mut ear, generation, pace)
            .await?;
        let told = ear.told;
        pace.end(Stage::Generate);

        // Nothing below fails half-way: the turn is over.
        session.committed = session.cache.len();
        session.pending = pending;
        session.told = told;
        session.seg_produced = match opening {
            Opening::Forced => has_seg,
            Opening::Free => session.seg_produced || has_seg,
        };
        if !masks.is_empty() {
            session.masks.extend(masks);
            self.judge(pace).await?;
        }
        self.tell_result(answer, pace).await?;
        Ok(reason)
    }

    /// Masks to map, score and regions; tells the map.
    async fn judge(&mut self, pace: &mut Pace) -> Result<(), EngineError> {
        pace.begin(Stage::Score).await?;
        let temperature = self.manifest.meta.threshold.temperature;
        let logits_side = self.config.sam.mask_side() as u32;
        let session = self.session.as_mut().ok_or(EngineError::NoImage)?;
        let (width, height) = session.frame.photo_size;
        let map = session.map(logits_side, temperature)?;
        session.score = image_score(&map, width, height, ScoreMode::Max)?;
        session.regions = regions(&map, width, height, session.map_threshold)?;
        if let Some(trace) = &mut self.trace {
            trace.tensors.retain(|tensor| tensor.name != "map");
            trace.add_values("map", &[height as usize, width as usize], &map);
        }
        pace.end(Stage::Score);
        pace.out
            .emit(Event::Mask {
                width,
                height,
                logits_side,
                map,
            })
            .await;
        Ok(())
    }

    async fn tell_result(&self, answer: String, pace: &Pace) -> Result<(), EngineError> {
        let session = self.session.as_ref().ok_or(EngineError::NoImage)?;
        let result = Inspection {
            score: session.score,
            threshold: session.threshold,
            anomalous: session.is_anomalous(),
            map_threshold: session.map_threshold,
            regions: session.regions.clone(),
            answer,
            seg_produced: session.seg_produced,
            device: self.device_name(),
            timings: pace.timings.clone(),
        };
        pace.out.emit(Event::Result(result)).await;
        Ok(())
    }
}

/// Ids of a further turn, with those that close the one before.
pub(crate) fn follow_up_ids(
    brain: &Brain<'_>,
    pending: &[i32],
    question: &str,
) -> Result<Vec<i32>, EngineError> {
    let turn = brain.conversation.follow_up(question);
    let mut ids = pending.to_vec();
    ids.extend(brain.tokenizer.encode(&turn, false)?);
    Ok(ids)
}

async fn trace_scoring(
    brain: &Brain<'_>,
    ids: &[i32],
    hidden: Tensor<3>,
    state: &Tensor<2>,
    found: &Found,
    trace: &mut Trace,
) -> Result<(), EngineError> {
    debug_assert!(ids.contains(&IMAGE_SENTINEL));
    let [_, n, d_text] = hidden.dims();
    let hidden = hidden.reshape([n, d_text]);
    let side = brain.config.sam.mask_side();
    trace.add("llm.input_ids", &[ids.len()], TraceData::I32(ids.to_vec()));
    trace
        .add_tensor("llm.hidden", Stage::Llm, &hidden, 2)
        .await?;
    let logits = brain.model.llm.logits(hidden);
    trace
        .add_tensor("llm.logits", Stage::Llm, &logits, 2)
        .await?;
    trace.add_tensor("seg.hidden", Stage::Llm, state, 1).await?;
    let embedding = brain.model.seg_embedding(state.clone());
    trace
        .add_tensor("seg.embedding", Stage::Mask, &embedding, 1)
        .await?;
    trace.add_values("mask.logits", &[side, side], &found.logits);
    if let Some(held) = &found.held {
        trace
            .add_tensor("mask.evidence", Stage::Mask, held, 1)
            .await?;
    }
    Ok(())
}
