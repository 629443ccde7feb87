//! One photograph: what the model makes of it, and what is so.

use anyhow::{Result, bail};
use vmad_data::{LabelledPhoto, Record};
use vmad_engine::{AnomalyMap, Ask, CancelToken, Engine, Photo, Query};
use vmad_eval::{Answer, ImageResult, Lexicon, Mask, Parsed, ScoreMap, Truth};

use super::truth::{lexicon, truth};
use crate::args::Length;
use crate::session;

/// Most tokens of an answer: a description names the defect at its beginning.
const ANSWER_TOKENS: usize = 64;

/// Looks at photographs, always in the same way.
pub(super) struct Inspector<'a> {
    engine: &'a mut Engine,
    asks: &'a [Ask],
    length: Length,
    lexicon: Lexicon,
}

/// An answer in full and read.
pub(crate) struct Said {
    pub ask: String,
    pub text: String,
    pub parsed: Parsed,
}

/// What became of a photograph.
pub(crate) struct Seen {
    pub score: f32,
    /// Score from which on the model calls a part anomalous.
    pub threshold: f32,
    /// Map value above which a pixel belongs to a region.
    pub map_threshold: f32,
    pub map: AnomalyMap,
    /// True in a defect, as large as the map; none where the data set has no mask.
    pub mask: Option<Vec<bool>>,
    pub truth: Truth,
    pub said: Vec<Said>,
}

impl<'a> Inspector<'a> {
    /// `records` are all that will be looked at: answers may name any of their defects.
    pub fn new(
        engine: &'a mut Engine,
        asks: &'a [Ask],
        length: Length,
        records: &[Record],
    ) -> Self {
        Self {
            engine,
            asks,
            length,
            lexicon: lexicon(records),
        }
    }

    /// The model, for what is set between photographs.
    pub fn engine(&mut self) -> &mut Engine {
        self.engine
    }

    /// The first question gives score and map; they would be the same with every other.
    pub fn look(&mut self, record: &Record, photo: LabelledPhoto) -> Result<Seen> {
        let LabelledPhoto { image, mask } = photo;
        let mut first = None;
        let mut said = Vec::new();
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
            said.push(Said {
                ask: name(ask).to_owned(),
                parsed: self.lexicon.parse(&verdict.answer, &record.object),
                text: verdict.answer.clone(),
            });
            first.get_or_insert((map, verdict));
        }
        let Some((map, verdict)) = first else {
            bail!("nothing was asked");
        };
        Ok(Seen {
            score: verdict.score,
            threshold: verdict.threshold,
            map_threshold: verdict.map_threshold,
            map,
            truth: truth(record, mask.as_ref())?,
            mask: mask.map(|mask| mask.iter().map(|value| *value != 0).collect()),
            said,
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

impl Seen {
    /// What the metrics need of it.
    pub fn result(&self) -> ImageResult {
        let (width, height) = (self.map.width as usize, self.map.height as usize);
        let answers = self.said.iter().map(|said| Answer {
            ask: said.ask.clone(),
            said: said.parsed.clone(),
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
