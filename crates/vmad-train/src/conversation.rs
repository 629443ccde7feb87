//! A scene's conversation as token ids: prompt, `[SEG]`, words, and often a second turn.

use rand::Rng;
use rand::seq::IndexedRandom;
use vmad_data::{DefectKind, Qa, QaKind, plural};
use vmad_package::{Conversation, Templates, Topic};
use vmad_prep::{IMAGE_SENTINEL, Tokenizer};

use crate::TrainError;
use crate::config::Tasks;
use crate::naming::{invented, name};
use crate::told::Told;

/// What is said about one scene.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialogue {
    /// Token ids with the image sentinel.
    pub ids: Vec<i32>,
    /// Indices into `ids` of the tokens that the model has to say itself.
    pub spoken: Vec<usize>,
    /// Index of `[SEG]`; none in conversations without a mask.
    pub seg: Option<usize>,
    /// Kinds of defect that the description of the normal scene allows.
    pub tolerated: Vec<DefectKind>,
    /// Whether what comes after `[SEG]` is told over another photograph's visual tokens.
    pub swapped: bool,
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

    /// What comes before `[SEG]`; of a dialogue without a mask no more than the image.
    pub(crate) fn up_to_seg(&self) -> Self {
        let end = self.seg.unwrap_or(self.sentinel() + 1);
        Self {
            ids: self.ids[..end].to_vec(),
            spoken: Vec::new(),
            ..self.clone()
        }
    }
}

/// Turns scenes into dialogues.
pub struct Interviewer<'a> {
    pub tokenizer: &'a Tokenizer,
    pub conversation: &'a Conversation,
    pub templates: &'a Templates,
    pub tasks: &'a Tasks,
}

/// What the user says a good one looks like.
#[derive(Default)]
struct Criterion {
    text: Option<String>,
    tolerated: Vec<DefectKind>,
}

/// A scene under another name.
fn called(told: &Told, name: &str) -> Told {
    let rename = |text: &str| text.replace(&told.object, name);
    let renamed = |qa: &Qa| Qa {
        answer: rename(&qa.answer),
        ..qa.clone()
    };
    Told {
        object: name.to_owned(),
        normal_description: rename(&told.normal_description),
        defects: told.defects.clone(),
        qa: told.qa.iter().map(renamed).collect(),
    }
}

/// The paper's three tasks.
#[derive(Clone, Copy)]
enum Task {
    Segment,
    Answer(QaKind),
    Question,
}

impl Interviewer<'_> {
    /// One dialogue about a scene. `placed` says whether places in the words still hold, which they
    /// do not once the picture was cropped.
    ///
    /// # Errors
    /// The tokenizer's.
    pub fn ask(
        &self,
        told: &Told,
        placed: bool,
        rng: &mut impl Rng,
    ) -> Result<Dialogue, TrainError> {
        // As users do who name nothing; what the thing is called is not to be guessed then.
        let is_unnamed = rng.random_bool(0.15);
        let named = match is_unnamed {
            true => called(told, &self.templates.unnamed),
            false => self.renamed(told, rng),
        };
        let criterion = self.criterion(&named, rng);
        let left: Vec<_> = named
            .defects
            .iter()
            .filter(|defect| !criterion.tolerated.contains(&defect.kind))
            .copied()
            .collect();
        // The words are composed for all defects or for none.
        let worded = left.len() == named.defects.len() || left.is_empty();
        let judged = match left.len() {
            0 if !named.defects.is_empty() => allowed(named),
            _ => named,
        };
        let task = match (placed && worded, self.task(rng)) {
            (true, task) => task,
            (false, _) => Task::Segment,
        };
        let object = (!is_unnamed).then_some(judged.object.as_str());
        let (question, answer) = match task {
            Task::Segment => (
                self.templates.question(object, None),
                self.templates.answer(None),
            ),
            Task::Answer(topic) => (
                self.templates.question(object, Some(asked(topic))),
                self.templates.answer(judged.answer(topic)),
            ),
            Task::Question => self.second_turn(&judged, rng),
        };
        let frame = self.conversation;
        let mut text = frame.first_turn(&question, criterion.text.as_deref());
        let mut spans = vec![text.len()];
        text = frame.answered(&text, &answer);
        spans.push(text.len());
        let goes_on = !matches!(task, Task::Question) && placed && worded;
        if goes_on && rng.random_bool(f64::from(self.tasks.second_turn)) {
            let (question, answer) = self.second_turn(&judged, rng);
            text.push_str(&frame.follow_up(&question));
            spans.push(text.len());
            text = frame.answered(&text, &answer);
            spans.push(text.len());
        }
        Ok(Dialogue {
            swapped: drawn(self.tasks.swapped, rng),
            ..self.encode(&text, &spans, criterion.tolerated)?
        })
    }

    /// A question about the scene, and its answer.
    fn second_turn(&self, told: &Told, rng: &mut impl Rng) -> (String, String) {
        let turn = match drawn(self.tasks.places, rng) {
            true => PLACE_TURN,
            false => rng.random_range(0..7),
        };
        second_turn(told, turn, rng)
    }

    /// The task mix.
    fn task(&self, rng: &mut impl Rng) -> Task {
        let Tasks {
            segment,
            answer,
            question,
            ..
        } = *self.tasks;
        let at = rng.random_range(0.0..segment + answer + question);
        if at < segment {
            return Task::Segment;
        }
        if at >= segment + answer {
            return Task::Question;
        }
        Task::Answer(match rng.random_range(0..9) {
            0..=5 => QaKind::Description,
            6 | 7 => QaKind::Impact,
            _ => QaKind::Suggestion,
        })
    }

    /// The scene under another name now and then: users call things as they like.
    fn renamed(&self, told: &Told, rng: &mut impl Rng) -> Told {
        if !rng.random_bool(f64::from(self.tasks.renamed)) {
            return told.clone();
        }
        let name = match drawn(self.tasks.invented, rng) {
            true => invented(self.tokenizer, rng),
            false => name(rng),
        };
        called(told, &name)
    }

    /// The description of the normal scene, and what it allows.
    fn criterion(&self, told: &Told, rng: &mut impl Rng) -> Criterion {
        let mut sentences = Vec::new();
        if rng.random_bool(f64::from(self.tasks.normal_description))
            && !told.normal_description.is_empty()
        {
            sentences.push(told.normal_description.clone());
        }
        let mut tolerated = Vec::new();
        if rng.random_bool(f64::from(self.tasks.criteria)) {
            // Half of the rules are about what can be seen.
            let seen = told.defects.choose(rng).map(|defect| defect.kind);
            let kind = match seen.filter(|_| rng.random_bool(0.6)) {
                Some(kind) => kind,
                None => DefectKind::ALL[rng.random_range(0..DefectKind::ALL.len())],
            };
            if rng.random_bool(0.6) {
                tolerated.push(kind);
            }
            sentences.push(rule(kind, !tolerated.is_empty(), &told.object, rng));
        }
        Criterion {
            text: (!sentences.is_empty()).then(|| sentences.join(" ")),
            tolerated,
        }
    }

    /// `spans` are the ends, in bytes, of prompt, answer, prompt, answer …
    fn encode(
        &self,
        text: &str,
        spans: &[usize],
        tolerated: Vec<DefectKind>,
    ) -> Result<Dialogue, TrainError> {
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
        // The question never holds the token: text of users cannot make it either.
        let seg = ids.iter().position(|id| *id == seg_id);
        Ok(Dialogue {
            ids,
            spoken,
            seg,
            tolerated,
            swapped: false,
        })
    }
}

fn asked(topic: QaKind) -> Topic {
    match topic {
        QaKind::Description => Topic::Description,
        QaKind::Impact => Topic::Impact,
        QaKind::Suggestion => Topic::Suggestion,
    }
}

/// A sentence that allows a kind of defect, or forbids it.
fn rule(kind: DefectKind, is_allowed: bool, object: &str, rng: &mut impl Rng) -> String {
    let many = plural(kind);
    let capital = many[..1].to_uppercase() + &many[1..];
    let (allowing, forbidding) = (
        [
            format!("A good {object} may have {many}."),
            format!("{capital} are allowed."),
            format!("{capital} are acceptable."),
            format!("{capital} do not matter."),
            format!("{capital} are normal here."),
            format!("Ignore {many}."),
        ],
        [
            format!("There must be no {many}."),
            format!("{capital} are not allowed."),
            format!("{capital} are not acceptable."),
            format!("{capital} are defects."),
            format!("Reject any {object} with {many}."),
        ],
    );
    let sentences: &[String] = if is_allowed { &allowing } else { &forbidding };
    sentences[rng.random_range(0..sentences.len())].clone()
}

/// Whether something of this share happens. Nothing is drawn for a share of none, so that older runs stay as
/// they are.
fn drawn(share: f32, rng: &mut impl Rng) -> bool {
    share > 0.0 && rng.random_bool(f64::from(share))
}

/// The second turn that asks for the place.
const PLACE_TURN: usize = 2;

/// A scene whose defects are all allowed, and what is said about it then.
fn allowed(told: Told) -> Told {
    let object = &told.object;
    let answers = [
        (
            QaKind::Description,
            format!("No defect is visible. What can be seen on the {object} is allowed."),
        ),
        (
            QaKind::Impact,
            format!("There is no impact. The {object} can be used as planned."),
        ),
        (
            QaKind::Suggestion,
            format!("No action is needed. The {object} can pass."),
        ),
    ];
    let qa = answers.map(|(kind, answer)| Qa {
        kind,
        question: kind.query().to_owned(),
        answer,
    });
    Told {
        qa: qa.into(),
        defects: Vec::new(),
        ..told
    }
}

/// A follow-up question with its answer.
fn second_turn(told: &Told, turn: usize, rng: &mut impl Rng) -> (String, String) {
    let object = &told.object;
    let defect = told.defects.first();
    let said = |topic| told.answer(topic).unwrap_or_default().to_owned();
    let choose = |options: &[&str], rng: &mut dyn rand::RngCore| {
        options[rng.random_range(0..options.len())].to_owned()
    };
    match turn {
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
        PLACE_TURN => {
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

/// Words of the second turns and of the rules, for the tokenizer's corpus.
pub const PHRASES: [&str; 12] = [
    "A good part may have scratches. Stains are allowed. Dents are acceptable. Holes do not matter.",
    "There must be no cracks. Burrs are not allowed. Chips are not acceptable.",
    "No defect is visible. What can be seen on the object is allowed. No action is needed.",
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

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use vmad_prep::Specials;

    use super::*;
    use crate::tokenizer::train_tokenizer;

    type Failure = Box<dyn std::error::Error>;

    const PRODUCT: &str = "woven ring";

    fn told() -> Told {
        let qa = [QaKind::Description, QaKind::Impact, QaKind::Suggestion].map(|kind| Qa {
            kind,
            question: kind.query().to_owned(),
            answer: format!("No defect is visible. The {PRODUCT} is as it should be."),
        });
        Told {
            object: PRODUCT.to_owned(),
            normal_description: format!("A {PRODUCT} without gaps."),
            defects: Vec::new(),
            qa: qa.into(),
        }
    }

    #[test]
    fn without_a_name_all_words_are_about_the_packages_own() -> Result<(), Failure> {
        let corpus = PHRASES.iter().map(|&text| text.to_owned());
        let tokenizer = Tokenizer::from_json(&train_tokenizer(corpus, 400)?)?;
        let templates = Templates {
            unnamed: "part".to_owned(),
            ..Templates::paper()
        };
        let interviewer = Interviewer {
            tokenizer: &tokenizer,
            conversation: &Conversation::vicuna_v1(),
            templates: &templates,
            tasks: &Tasks {
                normal_description: 0.5,
                second_turn: 0.5,
                ..Tasks::default()
            },
        };
        let mut rng = StdRng::seed_from_u64(3);
        let (mut n_named, mut n_unnamed) = (0, 0);
        for _ in 0..200 {
            let dialogue = interviewer.ask(&told(), true, &mut rng)?;
            let ids: Vec<i32> = dialogue.ids.into_iter().filter(|id| *id >= 0).collect();
            let text = tokenizer.decode(&ids, Specials::Keep);
            if text.contains("in the part?") {
                n_unnamed += 1;
                assert!(!text.contains(PRODUCT), "{text}");
            } else if text.contains(PRODUCT) {
                n_named += 1;
            }
        }
        assert!(n_unnamed > 10 && n_named > 100, "{n_unnamed}, {n_named}");
        Ok(())
    }
}
