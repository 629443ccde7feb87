//! A conversation about a scene as token ids: prompt, `[SEG]`, answer, and often a second turn.

use rand::Rng;
use rand::seq::IndexedRandom;
use vmad_data::{DefectKind, Qa, QaKind};
use vmad_package::{Conversation, Templates, Topic};
use vmad_prep::{IMAGE_SENTINEL, Tokenizer};

use crate::TrainError;
use crate::config::Tasks;
use crate::object_names::{invented_name, object_name};
use crate::questions::{criterion_sentence, question_and_answer, tolerated_answers};
use crate::scene_text::SceneText;

/// Share of conversations that do not name the object.
const UNNAMED_SHARE: f64 = 0.15;

/// A conversation about one scene.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialogue {
    /// Token ids with the image sentinel.
    pub ids: Vec<i32>,
    /// Indices into `ids` of the tokens that the model learns to generate.
    pub target_indices: Vec<usize>,
    /// Index of `[SEG]`; none in conversations without a mask.
    pub seg: Option<usize>,
    /// Kinds of defect that the description of the normal scene allows.
    pub tolerated: Vec<DefectKind>,
    /// Whether the text after `[SEG]` follows another photograph's visual tokens.
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

    /// The dialogue before `[SEG]`; without a mask, up to the image.
    pub fn up_to_seg(&self) -> Self {
        let end = self.seg.unwrap_or(self.sentinel() + 1);
        Self {
            ids: self.ids[..end].to_vec(),
            target_indices: Vec::new(),
            ..self.clone()
        }
    }
}

/// Turns scenes into dialogues.
pub struct DialogueBuilder<'a> {
    pub tokenizer: &'a Tokenizer,
    pub conversation: &'a Conversation,
    pub templates: &'a Templates,
    pub tasks: &'a Tasks,
}

/// The user's description of the normal scene.
#[derive(Default)]
struct NormalScene {
    text: Option<String>,
    tolerated: Vec<DefectKind>,
}

/// The paper's three tasks.
#[derive(Clone, Copy)]
enum Task {
    Segment,
    Answer(QaKind),
    Question,
}

impl DialogueBuilder<'_> {
    /// A dialogue about a scene. `has_true_places` says that places in the text hold for the view; they
    /// do not in a crop.
    ///
    /// # Errors
    /// The tokenizer's.
    pub fn build(
        &self,
        scene: &SceneText,
        has_true_places: bool,
        rng: &mut impl Rng,
    ) -> Result<Dialogue, TrainError> {
        let is_unnamed = rng.random_bool(UNNAMED_SHARE);
        let named = match is_unnamed {
            true => with_name(scene, &self.templates.unnamed),
            false => self.renamed(scene, rng),
        };
        let normal = self.normal_scene(&named, rng);
        let is_rejected = |kind| !normal.tolerated.contains(&kind);
        let n_rejected = named.defects.iter().filter(|d| is_rejected(d.kind)).count();
        // The scene's text is about all defects or none.
        let has_text = n_rejected == named.defects.len() || n_rejected == 0;
        let judged = match n_rejected {
            0 if !named.defects.is_empty() => tolerated_scene(named),
            _ => named,
        };
        let task = match (has_true_places && has_text, self.task(rng)) {
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
                self.templates.question(object, Some(topic_of(topic))),
                self.templates.answer(judged.answer(topic)),
            ),
            Task::Question => self.question(&judged, rng),
        };
        let frame = self.conversation;
        let mut text = frame.first_turn(&question, normal.text.as_deref());
        let mut spans = vec![text.len()];
        text = frame.answered(&text, &answer);
        spans.push(text.len());
        let may_go_on = !matches!(task, Task::Question) && has_true_places && has_text;
        if may_go_on && rng.random_bool(f64::from(self.tasks.second_turn)) {
            let (question, answer) = self.question(&judged, rng);
            text.push_str(&frame.follow_up(&question));
            spans.push(text.len());
            text = frame.answered(&text, &answer);
            spans.push(text.len());
        }
        Ok(Dialogue {
            swapped: draw(self.tasks.swapped, rng),
            ..self.encode(&text, &spans, normal.tolerated)?
        })
    }

    /// A question about the scene, and its answer.
    fn question(&self, scene: &SceneText, rng: &mut impl Rng) -> (String, String) {
        let asks_place = draw(self.tasks.places, rng);
        question_and_answer(scene, asks_place, rng)
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

    /// The scene under another name in a share of the draws, else as it is.
    fn renamed(&self, scene: &SceneText, rng: &mut impl Rng) -> SceneText {
        if !rng.random_bool(f64::from(self.tasks.renamed)) {
            return scene.clone();
        }
        let name = match draw(self.tasks.invented, rng) {
            true => invented_name(self.tokenizer, rng),
            false => object_name(rng),
        };
        with_name(scene, &name)
    }

    /// The description of the normal scene, and the kinds of defect that it allows.
    fn normal_scene(&self, scene: &SceneText, rng: &mut impl Rng) -> NormalScene {
        let mut sentences = Vec::new();
        if rng.random_bool(f64::from(self.tasks.normal_description))
            && !scene.normal_description.is_empty()
        {
            sentences.push(scene.normal_description.clone());
        }
        let mut tolerated = Vec::new();
        if rng.random_bool(f64::from(self.tasks.criteria)) {
            // Of the criteria about defective scenes 60 % are about a defect that is there.
            let present = scene.defects.choose(rng).map(|defect| defect.kind);
            let kind = match present.filter(|_| rng.random_bool(0.6)) {
                Some(kind) => kind,
                None => DefectKind::ALL[rng.random_range(0..DefectKind::ALL.len())],
            };
            if rng.random_bool(0.6) {
                tolerated.push(kind);
            }
            let is_allowed = !tolerated.is_empty();
            sentences.push(criterion_sentence(kind, is_allowed, &scene.object, rng));
        }
        NormalScene {
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
        let mut target_indices = Vec::new();
        let mut start = 0;
        for (i, end) in spans.iter().enumerate() {
            // No token crosses a word boundary, so the ids of a prefix are a prefix of the ids.
            let n = if *end == text.len() {
                ids.len()
            } else {
                self.tokenizer.encode_with_image(&text[..*end])?.len()
            };
            if i % 2 == 1 {
                target_indices.extend(start..n);
            }
            start = n;
        }
        let seg_id = self.tokenizer.ids().seg;
        // No question holds the token: text of users cannot produce it either.
        let seg = ids.iter().position(|id| *id == seg_id);
        Ok(Dialogue {
            ids,
            target_indices,
            seg,
            tolerated,
            swapped: false,
        })
    }
}

fn topic_of(topic: QaKind) -> Topic {
    match topic {
        QaKind::Description => Topic::Description,
        QaKind::Impact => Topic::Impact,
        QaKind::Suggestion => Topic::Suggestion,
    }
}

/// Returns true with probability `share`. A share of 0 draws nothing, so that runs from before a share was
/// introduced stay the same.
fn draw(share: f32, rng: &mut impl Rng) -> bool {
    share > 0.0 && rng.random_bool(f64::from(share))
}

/// The scene with another name for its object.
fn with_name(scene: &SceneText, name: &str) -> SceneText {
    let rename = |text: &str| text.replace(&scene.object, name);
    let renamed = |qa: &Qa| Qa {
        answer: rename(&qa.answer),
        ..qa.clone()
    };
    SceneText {
        object: name.to_owned(),
        normal_description: rename(&scene.normal_description),
        defects: scene.defects.clone(),
        qa: scene.qa.iter().map(renamed).collect(),
    }
}

/// A scene whose defects are all tolerated, as if it had none.
fn tolerated_scene(scene: SceneText) -> SceneText {
    let qa = tolerated_answers(&scene.object).map(|(kind, answer)| Qa {
        kind,
        question: kind.query().to_owned(),
        answer,
    });
    SceneText {
        qa: qa.into(),
        defects: Vec::new(),
        ..scene
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use vmad_prep::Specials;

    use super::*;
    use crate::questions::corpus_texts;
    use crate::tokenizer::train_tokenizer;

    type Failure = Box<dyn std::error::Error>;

    const PRODUCT: &str = "woven ring";

    fn scene() -> SceneText {
        let qa = [QaKind::Description, QaKind::Impact, QaKind::Suggestion].map(|kind| Qa {
            kind,
            question: kind.query().to_owned(),
            answer: format!("No defect is visible. The {PRODUCT} is as it should be."),
        });
        SceneText {
            object: PRODUCT.to_owned(),
            normal_description: format!("A {PRODUCT} without gaps."),
            defects: Vec::new(),
            qa: qa.into(),
        }
    }

    #[test]
    fn an_unnamed_object_has_the_packages_name() -> Result<(), Failure> {
        let corpus = corpus_texts().into_iter();
        let tokenizer = Tokenizer::from_json(&train_tokenizer(corpus, 400)?)?;
        let templates = Templates {
            unnamed: "part".to_owned(),
            ..Templates::paper()
        };
        let builder = DialogueBuilder {
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
            let dialogue = builder.build(&scene(), true, &mut rng)?;
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
