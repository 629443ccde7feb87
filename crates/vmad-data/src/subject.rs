//! What questions with choices can be asked about an image, from its labels.

use std::collections::BTreeMap;

use crate::category::Category;
use crate::defect::{DefectKind, Location};
use crate::math::Rng;
use crate::mmad::{Asked, Question, Subtask};
use crate::sample::Sample;
use crate::words;

/// Choices of a question, the right one among them.
const N_OPTIONS: usize = 4;

/// Normal images of the same category that are named beside an image's questions.
const N_TEMPLATES: usize = 4;

/// What is known of an image.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Path of the image within its data set.
    pub name: String,
    /// The product category.
    pub category: String,
    /// The product's name in sentences.
    pub object: String,
    /// What a normal product looks like; may be empty.
    pub normal_description: String,
    /// Kinds of the defects; empty where nothing is wrong.
    pub kinds: Vec<DefectKind>,
    /// Where they are.
    pub places: Vec<Location>,
}

impl Subject {
    /// What is known of a generated image.
    #[must_use]
    pub fn of_sample(name: String, sample: &Sample) -> Self {
        let defects = &sample.defects;
        Self {
            name,
            category: sample.category.clone(),
            object: sample.object.clone(),
            normal_description: sample.normal_description.clone(),
            kinds: defects.iter().map(|defect| defect.kind).collect(),
            places: defects.iter().map(|defect| defect.location).collect(),
        }
    }

    fn is_defective(&self) -> bool {
        !self.kinds.is_empty()
    }
}

/// What wrong choices are drawn from.
struct Pool {
    /// Objects of the data set and what is normal for them, filled up from the catalogue where there
    /// are too few.
    objects: BTreeMap<String, String>,
}

impl Pool {
    fn of(subjects: &[Subject]) -> Self {
        let of_set = subjects
            .iter()
            .map(|subject| (subject.object.clone(), subject.normal_description.clone()));
        let mut objects: BTreeMap<_, _> = of_set.collect();
        for category in Category::ALL {
            if objects.len() >= 2 * N_OPTIONS {
                break;
            }
            objects
                .entry(category.object().to_owned())
                .or_insert_with(|| category.normal_description().to_owned());
        }
        Self { objects }
    }
}

/// Questions of all seven subtasks about each image: all of them where something is wrong, and those
/// about the object and whether anything is wrong where nothing is. Wrong choices are drawn from
/// other kinds, places and objects. The same subjects give the same questions.
pub(crate) fn ask_all(subjects: &[Subject]) -> Vec<Asked> {
    let pool = Pool::of(subjects);
    let mut normal = BTreeMap::<&str, Vec<&str>>::new();
    for subject in subjects.iter().filter(|subject| !subject.is_defective()) {
        let names = normal.entry(&subject.category).or_default();
        names.push(&subject.name);
    }
    subjects
        .iter()
        .map(|subject| {
            let templates = normal.get(subject.category.as_str()).into_iter().flatten();
            Asked {
                name: subject.name.clone(),
                questions: questions(subject, &pool),
                templates: templates
                    .filter(|name| **name != subject.name)
                    .take(N_TEMPLATES)
                    .map(|name| (*name).to_owned())
                    .collect(),
            }
        })
        .collect()
}

fn questions(subject: &Subject, pool: &Pool) -> Vec<Question> {
    let seed = subject
        .name
        .bytes()
        .chain(subject.object.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let ask = |subtask: Subtask, text: &str, right: String, wrong: Vec<String>| {
        let mut rng = Rng::new(seed, subtask as u64, subject.kinds.len() as u64, 0);
        let wrong = pick(wrong, N_OPTIONS - 1, &mut rng);
        let at = rng.below(wrong.len() + 1);
        let mut options = wrong;
        options.insert(at, right);
        Question::new(subtask, text.to_owned(), options, at)
    };
    let yes_no = |is_defective: bool| {
        let say = |yes: bool| if yes { "Yes." } else { "No." }.to_owned();
        (say(is_defective), vec![say(!is_defective)])
    };
    let (right, wrong) = yes_no(subject.is_defective());
    let mut asked = vec![ask(
        Subtask::AnomalyDetection,
        "Is there a defect?",
        right,
        wrong,
    )];
    if let Some(kind) = subject.kinds.first() {
        let others = |say: &dyn Fn(DefectKind) -> String| {
            let others = DefectKind::ALL.into_iter();
            let others = others.filter(|other| !subject.kinds.contains(other));
            others.map(say).collect::<Vec<_>>()
        };
        for (subtask, text, say) in [
            (
                Subtask::DefectClassification,
                "What kind of defect is it?",
                &words::named as &dyn Fn(DefectKind) -> String,
            ),
            (
                Subtask::DefectDescription,
                "What does the defect look like?",
                &words::look,
            ),
            (
                Subtask::DefectAnalysis,
                "What is the impact?",
                &words::impact,
            ),
        ] {
            asked.push(ask(subtask, text, say(*kind), others(say)));
        }
    }
    if let Some(place) = subject.places.first() {
        let say = |place: Location| format!("It is on the {}.", place.name());
        let others = Location::ALL.into_iter();
        let others = others.filter(|other| !subject.places.contains(other));
        asked.push(ask(
            Subtask::DefectLocalization,
            "Where is the defect?",
            say(*place),
            others.map(say).collect(),
        ));
    }
    let others = || {
        let others = pool.objects.iter();
        others.filter(|(object, _)| **object != subject.object)
    };
    asked.push(ask(
        Subtask::ObjectClassification,
        "What is the object?",
        format!("It is the {}.", subject.object),
        others()
            .map(|(object, _)| format!("It is the {object}."))
            .collect(),
    ));
    asked.push(ask(
        Subtask::ObjectAnalysis,
        "What does a normal object look like?",
        subject.normal_description.clone(),
        others()
            .map(|(_, normal)| normal.clone())
            .filter(|normal| *normal != subject.normal_description)
            .collect(),
    ));
    let mut asked: Vec<Question> = asked.into_iter().flatten().collect();
    asked.sort_by_key(Question::subtask);
    asked
}

/// Draws `n` different entries.
fn pick(mut from: Vec<String>, n: usize, rng: &mut Rng) -> Vec<String> {
    from.sort_unstable();
    from.dedup();
    let mut picked = Vec::with_capacity(n);
    while picked.len() < n && !from.is_empty() {
        picked.push(from.swap_remove(rng.below(from.len())));
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Generator, Scenes, Split};

    fn subjects(n: u64) -> Vec<Subject> {
        let scenes = Generator::new(5, Split::Unseen, 64);
        (0..n)
            .map(|i| Subject::of_sample(format!("images/{i:06}.png"), &scenes.sample(i)))
            .collect()
    }

    #[test]
    fn all_subtasks_with_four_different_choices() {
        let subjects = subjects(60);
        let mut places = [0_usize; N_OPTIONS];
        for (subject, asked) in subjects.iter().zip(ask_all(&subjects)) {
            let subtasks: Vec<_> = asked.questions.iter().map(Question::subtask).collect();
            if subject.is_defective() {
                assert_eq!(subtasks, Subtask::ALL);
            } else {
                assert_eq!(
                    subtasks,
                    [
                        Subtask::AnomalyDetection,
                        Subtask::ObjectClassification,
                        Subtask::ObjectAnalysis
                    ]
                );
            }
            for question in &asked.questions {
                let n = match question.subtask() {
                    Subtask::AnomalyDetection => 2,
                    _ => N_OPTIONS,
                };
                let mut options = question.options().to_vec();
                assert_eq!(options.len(), n);
                options.sort();
                options.dedup();
                assert_eq!(options.len(), n, "{question:?}");
                if n == N_OPTIONS {
                    places[question.right()] += 1;
                }
                let right = &question.options()[question.right()];
                match question.subtask() {
                    Subtask::AnomalyDetection => {
                        assert_eq!(right == "Yes.", subject.is_defective());
                    }
                    Subtask::DefectClassification => {
                        assert_eq!(DefectKind::find_in(right), subject.kinds.first().copied());
                    }
                    Subtask::DefectLocalization => {
                        assert!(right.contains(subject.places[0].name()));
                    }
                    Subtask::ObjectClassification => assert!(right.contains(&subject.object)),
                    _ => {}
                }
            }
            assert!(!asked.templates.contains(&asked.name));
        }
        // Guessing one letter must not pay: each is right about as often.
        let n: usize = places.iter().sum();
        assert!(places.iter().all(|&p| p * 6 > n && p * 3 < n), "{places:?}");
    }

    #[test]
    fn the_same_subjects_give_the_same_questions() {
        let ask = || {
            ask_all(&subjects(9))
                .into_iter()
                .map(|asked| asked.questions)
        };
        assert!(ask().eq(ask()));
    }

    #[test]
    fn a_small_data_set_borrows_from_the_catalogue() {
        let one = &subjects(1)[..];
        let asked = ask_all(one);
        assert!(asked[0].questions.iter().all(|question| {
            question.subtask() == Subtask::AnomalyDetection || question.options().len() == N_OPTIONS
        }));
    }
}
