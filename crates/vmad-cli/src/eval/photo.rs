//! One photograph: the model's output and the ground truth.

use anyhow::{Result, bail};
use vmad_data::{LabelledPhoto, Record};
use vmad_engine::{AnomalyMap, Ask, CancelToken, Engine, Photo, Query};
use vmad_eval::{Answer, ImageResult, Lexicon, Mask, Parsed, ScoreMap, Truth};

use super::truth::{lexicon, truth};
use crate::args::AnswerLength;
use crate::session;

/// Limit of an answer's tokens; a description names the defect in its first words.
const ANSWER_TOKENS: usize = 64;

/// Inspects photographs with the same questions and settings.
pub(super) struct Inspector<'a> {
    engine: &'a mut Engine,
    asks: &'a [Ask],
    length: AnswerLength,
    lexicon: Lexicon,
}

/// An answer: its text and what the parser reads in it.
pub(crate) struct ParsedAnswer {
    pub ask: String,
    pub text: String,
    pub parsed: Parsed,
}

/// The outputs and the ground truth of a photograph.
pub(crate) struct EvaluatedPhoto {
    pub score: f32,
    /// Image score at or above which the model calls a part anomalous.
    pub threshold: f32,
    /// Map value above which a pixel belongs to a region.
    pub map_threshold: f32,
    pub map: AnomalyMap,
    /// True inside a defect, `[height, width]` of the map; `None` if the data set has no mask.
    pub mask: Option<Vec<bool>>,
    pub truth: Truth,
    pub answers: Vec<ParsedAnswer>,
}

impl<'a> Inspector<'a> {
    /// `records` are all photographs of the run; their defect names form the lexicon of answers.
    pub fn new(
        engine: &'a mut Engine,
        asks: &'a [Ask],
        length: AnswerLength,
        records: &[Record],
    ) -> Self {
        Self {
            engine,
            asks,
            length,
            lexicon: lexicon(records),
        }
    }

    /// The engine, for settings between photographs.
    pub fn engine(&mut self) -> &mut Engine {
        self.engine
    }

    /// Asks every question. Score and map come from the first; they do not depend on the question.
    pub fn inspect(&mut self, record: &Record, photo: LabelledPhoto) -> Result<EvaluatedPhoto> {
        let LabelledPhoto { image, mask } = photo;
        let mut first = None;
        let mut answers = Vec::new();
        for ask in self.asks {
            let query = Query {
                object: Some(record.object.clone()),
                ask: ask.clone(),
                generation: self.length.generation(Some(ANSWER_TOKENS)),
                ..Query::default()
            };
            let events = self
                .engine
                .inspect(Photo::Rgb(image.clone()), query, &CancelToken::new());
            let (map, verdict) = session::finish(events)?;
            answers.push(ParsedAnswer {
                ask: name(ask).to_owned(),
                parsed: self.lexicon.parse(&verdict.answer, &record.object),
                text: verdict.answer.clone(),
            });
            first.get_or_insert((map, verdict));
        }
        let Some((map, verdict)) = first else {
            bail!("--ask names no question");
        };
        Ok(EvaluatedPhoto {
            score: verdict.score,
            threshold: verdict.threshold,
            map_threshold: verdict.map_threshold,
            map,
            truth: truth(record, mask.as_ref())?,
            mask: mask.map(|mask| mask.iter().map(|value| *value != 0).collect()),
            answers,
        })
    }
}

/// A question's name in reports.
pub(super) fn name(ask: &Ask) -> &str {
    match ask {
        Ask::None => "nothing",
        Ask::Description => "description",
        Ask::Impact => "impact",
        Ask::Suggestion => "suggestion",
        Ask::Free(question) => question,
    }
}

impl EvaluatedPhoto {
    /// The part that the metrics use.
    pub fn result(&self) -> ImageResult {
        let (width, height) = (self.map.width as usize, self.map.height as usize);
        let answers = self.answers.iter().map(|answer| Answer {
            ask: answer.ask.clone(),
            said: answer.parsed.clone(),
        });
        ImageResult {
            score: self.score,
            map: Some(ScoreMap {
                width,
                height,
                values: self.map.values.clone(),
            }),
            mask: self.mask.clone().map(|values| Mask {
                width,
                height,
                values,
            }),
            truth: self.truth.clone(),
            answers: answers.collect(),
        }
    }
}
