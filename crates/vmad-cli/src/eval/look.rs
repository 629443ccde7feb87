//! One photograph: what the model makes of it, and what is so.

use anyhow::{Result, bail};
use vmad_data::Record;
use vmad_engine::{Ask, CancelToken, Engine, Query};
use vmad_eval::{Answer, ImageResult, Lexicon, Mask, Parsed, ScoreMap, Truth};

use super::truth::{lexicon, truth};
use crate::args::Length;
use crate::files::read_photo;
use crate::session::{self, AnomalyMap};

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
pub(super) struct Said {
    pub ask: String,
    pub text: String,
    pub parsed: Parsed,
}

/// What became of a photograph.
pub(super) struct Seen {
    pub score: f32,
    /// Score from which on the model calls a part anomalous.
    pub threshold: f32,
    /// Map value above which a pixel belongs to a region.
    pub map_threshold: f32,
    pub map: AnomalyMap,
    /// True in a defect, as large as the map.
    pub mask: Vec<bool>,
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

    /// The first question gives score and map; they would be the same with every other.
    pub fn look(&mut self, record: &Record) -> Result<Seen> {
        let photo = read_photo(&record.path)?;
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
                .inspect(photo.clone(), query, &CancelToken::new());
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
            mask: mask_of(record, &map)?,
            map,
            truth: truth(record)?,
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

fn mask_of(record: &Record, map: &AnomalyMap) -> Result<Vec<bool>> {
    let mask = record.mask();
    if (mask.width(), mask.height()) != (map.width, map.height) {
        bail!(
            "the annotations say {}x{} pixels, the photograph has {}x{}",
            mask.width(),
            mask.height(),
            map.width,
            map.height
        );
    }
    Ok(mask.iter().map(|value| *value != 0).collect())
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
            mask: Some(Mask {
                width,
                height,
                values: self.mask.clone(),
            }),
            truth: self.truth.clone(),
            answers: answers.collect(),
        }
    }
}
