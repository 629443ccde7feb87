//! The questions, answers and criteria of conversations. Dialogues and the tokenizer's corpus are both
//! made of these tables.

use std::collections::BTreeSet;

use rand::Rng;
use vmad_data::{DefectKind, QaKind, plural};

use crate::scene_text::SceneText;

/// A question of a second turn or of task 3.
struct Question {
    /// Its wordings.
    wordings: [&'static str; 3],
    /// Its answer.
    answer: Answer,
}

/// The answer to a [`Question`].
enum Answer {
    /// Composed of the scene's first defect.
    Composed {
        /// The answer about a defective scene, with `{kind}`, `{location}`, `{object}`, `{size}` and
        /// `{severity}`.
        defective: &'static str,
        /// The answer about a normal scene.
        normal: &'static str,
        /// Whether the tokenizer's corpus has the words of `defective`. One table entry is left out of
        /// it, since the tokenizer of `models/tiny` was trained without.
        is_in_corpus: bool,
    },
    /// The scene's own answer about a topic.
    OfScene(QaKind),
}

const fn composed(defective: &'static str, normal: &'static str) -> Answer {
    Answer::Composed {
        defective,
        normal,
        is_in_corpus: true,
    }
}

/// All questions, equally likely.
const QUESTIONS: [Question; 7] = [
    Question {
        wordings: [
            "Is there a defect?",
            "Is anything wrong with it?",
            "Is it defective?",
        ],
        answer: composed("Yes, there is a {kind}.", "No, no defect is visible."),
    },
    Question {
        wordings: [
            "What kind of defect is it?",
            "What defect do you see?",
            "What is it?",
        ],
        answer: Answer::Composed {
            defective: "It is a {kind}.",
            normal: "There is no defect.",
            is_in_corpus: false,
        },
    },
    Question {
        wordings: [
            "Where is the defect?",
            "Where is it?",
            "Which part is it on?",
        ],
        answer: composed(
            "It is on the {location} of the {object}.",
            "There is no defect.",
        ),
    },
    Question {
        wordings: [
            "How large is it?",
            "How big is the defect?",
            "How severe is it?",
        ],
        answer: composed("It is {size} and {severity}.", "There is no defect."),
    },
    Question {
        wordings: [
            "Is the part OK?",
            "Can I use it?",
            "Does it pass the inspection?",
        ],
        answer: composed("No, it has a {kind}.", "Yes, no defect is visible."),
    },
    Question {
        wordings: [
            "What is the impact?",
            "Is it dangerous?",
            "What can happen?",
        ],
        answer: Answer::OfScene(QaKind::Impact),
    },
    Question {
        wordings: [
            "What should I do?",
            "What do you suggest?",
            "How can it be fixed?",
        ],
        answer: Answer::OfScene(QaKind::Suggestion),
    },
];

/// Index of the question for the place in [`QUESTIONS`].
const PLACE_QUESTION: usize = 2;

/// The normal scene by a user's criterion: a sentence with `{object}`, `{defects}` and `{Defects}`.
struct Criterion {
    template: &'static str,
    /// The kind of defect with which the tokenizer's corpus has the sentence.
    in_corpus: Option<DefectKind>,
}

const fn criterion(template: &'static str, in_corpus: Option<DefectKind>) -> Criterion {
    Criterion {
        template,
        in_corpus,
    }
}

/// Sentences that allow a kind of defect, equally likely.
const ALLOWING: [Criterion; 6] = [
    criterion(
        "A good {object} may have {defects}.",
        Some(DefectKind::Scratch),
    ),
    criterion("{Defects} are allowed.", Some(DefectKind::Stain)),
    criterion("{Defects} are acceptable.", Some(DefectKind::Dent)),
    criterion("{Defects} do not matter.", Some(DefectKind::Hole)),
    criterion("{Defects} are normal here.", None),
    criterion("Ignore {defects}.", None),
];

/// Sentences that forbid a kind of defect, equally likely.
const FORBIDDING: [Criterion; 5] = [
    criterion("There must be no {defects}.", Some(DefectKind::Crack)),
    criterion("{Defects} are not allowed.", Some(DefectKind::Burr)),
    criterion("{Defects} are not acceptable.", Some(DefectKind::Chip)),
    criterion("{Defects} are defects.", None),
    criterion("Reject any {object} with {defects}.", None),
];

/// The answers about a scene whose defects are all tolerated, with `{object}`.
const TOLERATED_ANSWERS: [(QaKind, &str); 3] = [
    (
        QaKind::Description,
        "No defect is visible. What can be seen on the {object} is allowed.",
    ),
    (
        QaKind::Impact,
        "There is no impact. The {object} can be used as planned.",
    ),
    (
        QaKind::Suggestion,
        "No action is needed. The {object} can pass.",
    ),
];

/// Further words of the tokenizer's corpus: places, sizes, severities and what scenes are called.
const WORDS: [&str; 2] = [
    "upper left upper right lower left lower right centre top bottom",
    "small medium large minor moderate severe object part photograph image",
];

impl Criterion {
    fn sentence(&self, kind: DefectKind, object: &str) -> String {
        let defects = plural(kind);
        let capital = defects[..1].to_uppercase() + &defects[1..];
        self.template
            .replace("{defects}", defects)
            .replace("{Defects}", &capital)
            .replace("{object}", object)
    }
}

/// A sentence that allows or forbids a kind of defect.
pub fn criterion_sentence(
    kind: DefectKind,
    is_allowed: bool,
    object: &str,
    rng: &mut impl Rng,
) -> String {
    let sentences: &[Criterion] = if is_allowed { &ALLOWING } else { &FORBIDDING };
    sentences[rng.random_range(0..sentences.len())].sentence(kind, object)
}

/// The answers about a scene whose defects are all tolerated.
pub fn tolerated_answers(object: &str) -> [(QaKind, String); 3] {
    TOLERATED_ANSWERS.map(|(topic, template)| (topic, template.replace("{object}", object)))
}

/// A question about the scene, and its answer. `asks_place` takes the one for the place.
pub fn question_and_answer(
    scene: &SceneText,
    asks_place: bool,
    rng: &mut impl Rng,
) -> (String, String) {
    let index = match asks_place {
        true => PLACE_QUESTION,
        false => rng.random_range(0..QUESTIONS.len()),
    };
    let Question { wordings, answer } = &QUESTIONS[index];
    let question = wordings[rng.random_range(0..wordings.len())].to_owned();
    let answer = match (answer, scene.defects.first()) {
        (Answer::OfScene(topic), _) => scene.answer(*topic).unwrap_or_default().to_owned(),
        (Answer::Composed { normal, .. }, None) => (*normal).to_owned(),
        (Answer::Composed { defective, .. }, Some(defect)) => defective
            .replace("{kind}", defect.kind.name())
            .replace("{location}", defect.location.name())
            .replace("{size}", defect.size.name())
            .replace("{severity}", defect.severity.name())
            .replace("{object}", &scene.object),
    };
    (question, answer)
}

/// The texts of the tables for the tokenizer's corpus. Each sentence of the answers is in it once.
pub fn corpus_texts() -> Vec<String> {
    let mut texts = Vec::new();
    let mut normal_answers = BTreeSet::new();
    for Question { wordings, answer } in &QUESTIONS {
        texts.extend(wordings.map(str::to_owned));
        if let Answer::Composed {
            defective,
            normal,
            is_in_corpus,
        } = answer
        {
            normal_answers.insert(*normal);
            texts.extend(is_in_corpus.then(|| without_placeholders(defective)));
        }
    }
    texts.extend(normal_answers.into_iter().map(str::to_owned));
    let criteria = ALLOWING.iter().chain(&FORBIDDING);
    texts.extend(criteria.filter_map(|criterion| {
        let kind = criterion.in_corpus?;
        Some(criterion.sentence(kind, "part"))
    }));
    let [(_, description), _, (_, suggestion)] = tolerated_answers("object");
    texts.push(description);
    // Its other sentence has no new words.
    texts.extend(suggestion.split_inclusive('.').next().map(str::to_owned));
    texts.extend(WORDS.map(str::to_owned));
    texts
}

/// The words of a template between its placeholders.
fn without_placeholders(template: &str) -> String {
    let parts = template.split('{').map(|part| match part.split_once('}') {
        Some((_, rest)) => rest.trim_matches([' ', '.']),
        None => part.trim(),
    });
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::train_tokenizer;

    #[test]
    fn templates_without_placeholders() {
        for (template, expected) in [
            ("Yes, there is a {kind}.", "Yes, there is a"),
            (
                "It is on the {location} of the {object}.",
                "It is on the of the",
            ),
            ("It is {size} and {severity}.", "It is and"),
        ] {
            assert_eq!(without_placeholders(template), expected);
        }
    }

    /// The tokenizer of `models/tiny` was trained on these texts among others: other texts give
    /// another tokenizer.
    #[test]
    fn the_corpus_is_that_of_models_tiny() {
        let file = train_tokenizer(corpus_texts().into_iter(), 400).expect("it has room");
        let hash = vmad_package::Sha256::of(&file).to_string();
        assert_eq!(
            hash,
            "fc31c6354d471bb9b83cb2b13283b746c4c8784f2b52d0096b595d85f81547ef"
        );
    }
}
