//! A scene's conversation as token ids: prompt, `[SEG]`, words, and often a second turn.

use rand::Rng;
use vmad_data::{QaKind, Sample};
use vmad_package::{Conversation, Templates, Topic};
use vmad_prep::{IMAGE_SENTINEL, Tokenizer};

use crate::TrainError;
use crate::config::DataConfig;

/// What is said about one scene.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialogue {
    /// Token ids with the image sentinel.
    pub ids: Vec<i32>,
    /// Indices into `ids` of the tokens that the model has to say itself.
    pub spoken: Vec<usize>,
    /// Index of `[SEG]`.
    pub seg: usize,
}

impl Dialogue {
    /// Index of the image sentinel.
    #[must_use]
    pub fn sentinel(&self) -> usize {
        self.ids
            .iter()
            .position(|id| *id == IMAGE_SENTINEL)
            .unwrap_or(0)
    }
}

/// Turns scenes into dialogues.
pub struct Interviewer<'a> {
    pub tokenizer: &'a Tokenizer,
    pub conversation: &'a Conversation,
    pub templates: &'a Templates,
    pub data: &'a DataConfig,
}

impl Interviewer<'_> {
    /// One dialogue about `sample`. `placed` says whether places in the words still hold, which
    /// they do not once the picture was cropped.
    ///
    /// # Errors
    /// The tokenizer's.
    pub fn ask(
        &self,
        sample: &Sample,
        placed: bool,
        rng: &mut impl Rng,
    ) -> Result<Dialogue, TrainError> {
        let object = if rng.random_bool(0.2) {
            "object"
        } else {
            sample.object.as_str()
        };
        let normal = rng
            .random_bool(f64::from(self.data.normal_description))
            .then_some(sample.normal_description.as_str());
        let topic = if placed { pick_topic(rng) } else { None };
        let words = topic.and_then(|topic| answer_of(sample, topic));
        let frame = self.conversation;
        let asked = topic.map(|topic| match topic {
            QaKind::Description => Topic::Description,
            QaKind::Impact => Topic::Impact,
            QaKind::Suggestion => Topic::Suggestion,
        });
        let question = self.templates.question(Some(object), asked);
        let answer = self.templates.answer(words);
        let mut text = frame.first_turn(&question, normal);
        let mut spans = vec![text.len()];
        text = frame.answered(&text, &answer);
        spans.push(text.len());
        if placed && rng.random_bool(f64::from(self.data.second_turn)) {
            let (question, answer) = second_turn(sample, rng);
            text.push_str(&frame.follow_up(&question));
            spans.push(text.len());
            text = frame.answered(&text, &answer);
            spans.push(text.len());
        }
        self.encode(&text, &spans)
    }

    /// `spans` are the ends, in bytes, of prompt, answer, prompt, answer …
    fn encode(&self, text: &str, spans: &[usize]) -> Result<Dialogue, TrainError> {
        let ids = self.tokenizer.encode_with_image(text)?;
        let mut spoken = Vec::new();
        let mut start = 0;
        for (i, end) in spans.iter().enumerate() {
            // No token reaches over a word's border, so the ids of a prefix are a prefix of the ids.
            let n = if *end == text.len() {
                ids.len()
            } else {
                self.tokenizer.encode_with_image(&text[..*end])?.len()
            };
            if i % 2 == 1 {
                spoken.extend(start..n);
            }
            start = n;
        }
        let seg_id = self.tokenizer.ids().seg;
        let seg = ids.iter().position(|id| *id == seg_id).unwrap_or(0);
        Ok(Dialogue { ids, spoken, seg })
    }
}

fn pick_topic(rng: &mut impl Rng) -> Option<QaKind> {
    match rng.random_range(0..10) {
        0 => None,
        1..=6 => Some(QaKind::Description),
        7 | 8 => Some(QaKind::Impact),
        _ => Some(QaKind::Suggestion),
    }
}

fn answer_of(sample: &Sample, topic: QaKind) -> Option<&str> {
    sample
        .qa
        .iter()
        .find(|qa| qa.kind == topic)
        .map(|qa| qa.answer.as_str())
}

/// A follow-up question with its answer.
fn second_turn(sample: &Sample, rng: &mut impl Rng) -> (String, String) {
    let object = &sample.object;
    let defect = sample.defects.first();
    let said = |topic| answer_of(sample, topic).unwrap_or_default().to_owned();
    let choose = |options: &[&str], rng: &mut dyn rand::RngCore| {
        options[rng.random_range(0..options.len())].to_owned()
    };
    match rng.random_range(0..7) {
        0 => {
            let question = choose(
                &[
                    "Is there a defect?",
                    "Is anything wrong with it?",
                    "Is it defective?",
                ],
                rng,
            );
            let answer = match defect {
                Some(defect) => format!("Yes, there is a {}.", defect.kind.name()),
                None => "No, no defect is visible.".to_owned(),
            };
            (question, answer)
        }
        1 => {
            let question = choose(
                &[
                    "What kind of defect is it?",
                    "What defect do you see?",
                    "What is it?",
                ],
                rng,
            );
            let answer = match defect {
                Some(defect) => format!("It is a {}.", defect.kind.name()),
                None => "There is no defect.".to_owned(),
            };
            (question, answer)
        }
        2 => {
            let question = choose(
                &[
                    "Where is the defect?",
                    "Where is it?",
                    "Which part is it on?",
                ],
                rng,
            );
            let answer = match defect {
                Some(defect) => format!("It is on the {} of the {object}.", defect.location.name()),
                None => "There is no defect.".to_owned(),
            };
            (question, answer)
        }
        3 => {
            let question = choose(
                &[
                    "How large is it?",
                    "How big is the defect?",
                    "How severe is it?",
                ],
                rng,
            );
            let answer = match defect {
                Some(defect) => {
                    format!(
                        "It is {} and {}.",
                        defect.size.name(),
                        defect.severity.name()
                    )
                }
                None => "There is no defect.".to_owned(),
            };
            (question, answer)
        }
        4 => {
            let question = choose(
                &[
                    "Is the part OK?",
                    "Can I use it?",
                    "Does it pass the inspection?",
                ],
                rng,
            );
            let answer = match defect {
                Some(defect) => format!("No, it has a {}.", defect.kind.name()),
                None => "Yes, no defect is visible.".to_owned(),
            };
            (question, answer)
        }
        5 => {
            let question = choose(
                &[
                    "What is the impact?",
                    "Is it dangerous?",
                    "What can happen?",
                ],
                rng,
            );
            (question, said(QaKind::Impact))
        }
        _ => {
            let question = choose(
                &[
                    "What should I do?",
                    "What do you suggest?",
                    "How can it be fixed?",
                ],
                rng,
            );
            (question, said(QaKind::Suggestion))
        }
    }
}

/// Words of the second turns, for the tokenizer's corpus.
pub const PHRASES: [&str; 9] = [
    "Is there a defect? Is anything wrong with it? Is it defective? Yes, there is a",
    "What kind of defect is it? What defect do you see? What is it? There is no defect.",
    "Where is the defect? Where is it? Which part is it on? It is on the of the",
    "How large is it? How big is the defect? How severe is it? It is and",
    "Is the part OK? Can I use it? Does it pass the inspection? No, it has a",
    "What is the impact? Is it dangerous? What can happen? Yes, no defect is visible.",
    "What should I do? What do you suggest? How can it be fixed? No, no defect is visible.",
    "upper left upper right lower left lower right centre top bottom",
    "small medium large minor moderate severe object part photograph image",
];
