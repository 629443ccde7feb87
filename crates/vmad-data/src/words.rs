//! Questions and answers in a small closed vocabulary.
//!
//! No phrase of one kind names another: [`crate::DefectKind::find_in`] must read each answer. Where
//! two kinds are in one picture, both are named, in the order of the defects.

use crate::defect::{Defect, DefectKind, Severity};
use crate::math::Rng;
use serde::{Deserialize, Serialize};

/// The type of a question and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QaKind {
    /// What the picture shows.
    Description,
    /// What follows from it.
    Impact,
    /// What to do.
    Suggestion,
}

impl QaKind {
    /// All kinds in fixed order.
    pub const ALL: [QaKind; 3] = [Self::Description, Self::Impact, Self::Suggestion];

    /// The word that replaces QUERY in the task template.
    pub fn query(self) -> &'static str {
        match self {
            Self::Description => "description",
            Self::Impact => "impact analysis",
            Self::Suggestion => "suggestion analysis",
        }
    }
}

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Qa {
    /// What is asked for.
    #[serde(rename = "type")]
    pub kind: QaKind,
    /// The QUERY word of the task template.
    pub question: String,
    /// The answer without [SEG].
    pub answer: String,
}

/// Singular, plural, look, impact and suggestion of a kind.
struct Phrases {
    one: &'static str,
    many: &'static str,
    look: &'static str,
    impact: &'static str,
    action: &'static str,
}

fn phrases(kind: DefectKind) -> Phrases {
    let (one, many, look, impact, action) = match kind {
        DefectKind::Scratch => (
            "scratch",
            "scratches",
            "It looks like a thin straight line",
            "spoils the finish of the surface",
            "polish the surface and check the handling of the parts",
        ),
        DefectKind::Crack => (
            "crack",
            "cracks",
            "It looks like a dark jagged line with branches",
            "weakens the part and can grow under load",
            "remove the part and check the load during production",
        ),
        DefectKind::Stain => (
            "stain",
            "stains",
            "It looks like a dried liquid with a darker rim",
            "spoils the look of the surface",
            "clean the surface and look for leaking liquid",
        ),
        DefectKind::Hole => (
            "hole",
            "holes",
            "It looks like a round opening through the material",
            "opens the part and reduces its strength",
            "remove the part and check the tool",
        ),
        DefectKind::Dent => (
            "dent",
            "dents",
            "It looks like a smooth hollow with a bright and a dark side",
            "changes the shape and can disturb the fit",
            "measure the shape and check the transport of the parts",
        ),
        DefectKind::Chip => (
            "chip",
            "chips",
            "It looks like a piece broken away with sharp corners",
            "leaves a sharp border and can disturb the fit",
            "remove the part and check the clamping",
        ),
        DefectKind::Discolouration => (
            "discolouration",
            "discolourations",
            "It looks like a soft area of a different colour",
            "spoils the even colour of the product",
            "compare the colour with a sample and check the material",
        ),
        DefectKind::Contamination => (
            "contamination",
            "contaminations",
            "It looks like a group of foreign particles",
            "makes the product dirty and can disturb later steps",
            "blow the surface clean and check the filters",
        ),
        DefectKind::Burr => (
            "burr",
            "burrs",
            "It looks like a row of sharp raised teeth",
            "can hurt people and disturb the assembly",
            "grind the sharp teeth away and replace the worn tool",
        ),
        DefectKind::Rust => (
            "rust spot",
            "rust spots",
            "It looks like a rough orange and brown patch",
            "eats into the material and will spread",
            "remove the patch, protect the surface and store it dry",
        ),
        DefectKind::Bubble => (
            "bubble group",
            "bubble groups",
            "It looks like several round raised domes",
            "shows trapped air and makes the layer weak",
            "check the temperature and the drying time",
        ),
        DefectKind::Burn => (
            "burn mark",
            "burn marks",
            "It looks like a black centre with a brown halo",
            "shows damage by heat and makes the material weak",
            "remove the part and lower the temperature",
        ),
        DefectKind::Cut => (
            "cut",
            "cuts",
            "It looks like a long open slit with bright lips",
            "opens the surface and lets it tear further",
            "remove the part and cover sharp edges on the line",
        ),
        DefectKind::Abrasion => (
            "abrasion",
            "abrasions",
            "It looks like a rubbed area with many fine parallel lines",
            "wears the surface layer away",
            "look for rubbing contact on the line and add protection",
        ),
        DefectKind::Misprint => (
            "misprint",
            "misprints",
            "It looks like stray printed characters",
            "gives wrong information and spoils the look",
            "clean the print head and check the print position",
        ),
    };
    Phrases {
        one,
        many,
        look,
        impact,
        action,
    }
}

/// The words for several defects of a kind, such as `rust spots`.
pub fn plural(kind: DefectKind) -> &'static str {
    phrases(kind).many
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    }
}

/// "It is a scratch."
pub(crate) fn named(kind: DefectKind) -> String {
    let one = phrases(kind).one;
    format!("It is {} {one}.", article(one))
}

/// What a kind looks like, as a sentence.
pub(crate) fn look(kind: DefectKind) -> String {
    format!("{}.", phrases(kind).look)
}

/// What follows from a kind, as a sentence.
pub(crate) fn impact(kind: DefectKind) -> String {
    format!("It {}.", phrases(kind).impact)
}

/// The three answers for an image.
pub(crate) fn answers(object: &str, defects: &[Defect], rng: &mut Rng) -> Vec<Qa> {
    let variant = [rng.chance(0.5), rng.chance(0.5), rng.chance(0.5)];
    QaKind::ALL
        .into_iter()
        .zip(variant)
        .map(|(kind, alt)| Qa {
            kind,
            question: kind.query().to_owned(),
            answer: match defects.first() {
                None => normal(kind, object, alt),
                Some(first) => match defects.iter().find(|d| d.kind != first.kind) {
                    None => defective(kind, object, first, defects, alt),
                    Some(second) => of_two_kinds(kind, object, first, second, alt),
                },
            },
        })
        .collect()
}

fn normal(kind: QaKind, object: &str, alt: bool) -> String {
    match (kind, alt) {
        (QaKind::Description, false) => {
            format!("No defect is visible. The surface of the {object} looks regular.")
        }
        (QaKind::Description, true) => {
            format!("No defect is visible. The {object} looks as it should.")
        }
        (QaKind::Impact, false) => {
            format!("There is no impact. The {object} can be used as planned.")
        }
        (QaKind::Impact, true) => {
            format!("There is no impact, because the {object} shows no defect.")
        }
        (QaKind::Suggestion, false) => format!("No action is needed. The {object} can pass."),
        (QaKind::Suggestion, true) => {
            format!("No action is needed. Keep the {object} in normal production.")
        }
    }
}

fn consequence(worst: Severity) -> &'static str {
    match worst {
        Severity::Minor => "The function is not affected.",
        Severity::Moderate => "The function may be affected over time.",
        Severity::Severe => "The product should not be used.",
    }
}

fn verdict(worst: Severity) -> &'static str {
    match worst {
        Severity::Minor => "The product can pass after a second look.",
        Severity::Moderate => "Set the product aside for repair.",
        Severity::Severe => "Reject the product.",
    }
}

/// Answers that name one defect of each of two kinds.
fn of_two_kinds(kind: QaKind, object: &str, first: &Defect, second: &Defect, alt: bool) -> String {
    let (a, b) = (phrases(first.kind), phrases(second.kind));
    let worst = first.severity.max(second.severity);
    match kind {
        QaKind::Description => {
            let place = |d: &Defect, p: &Phrases| {
                format!("a {} {} on the {}", d.size.name(), p.one, d.location.name())
            };
            let (one, two) = (place(first, &a), place(second, &b));
            let like = |p: &Phrases| p.look.trim_start_matches("It looks ").to_owned();
            let looks = format!("The first looks {}, the second {}.", like(&a), like(&b));
            if alt {
                format!("The {object} has {one} and {two}. {looks}")
            } else {
                format!("There is {one} and {two} of the {object}. {looks}")
            }
        }
        QaKind::Impact => {
            let part = |d: &Defect, p: &Phrases| {
                format!("The {} is {} and {}.", p.one, d.severity.name(), p.impact)
            };
            let tail = consequence(worst);
            format!("{} {} {tail}", part(first, &a), part(second, &b))
        }
        QaKind::Suggestion => {
            let part = |p: &Phrases| format!("Because of the {}, {}.", p.one, p.action);
            let tail = verdict(worst);
            if alt {
                format!("{tail} {} {}", part(&a), part(&b))
            } else {
                format!("{} {} {tail}", part(&a), part(&b))
            }
        }
    }
}

fn defective(kind: QaKind, object: &str, first: &Defect, all: &[Defect], alt: bool) -> String {
    let p = phrases(first.kind);
    let worst = all
        .iter()
        .map(|d| d.severity)
        .max()
        .unwrap_or(first.severity);
    let plural = all.len() > 1;
    let name = if plural { p.many } else { p.one };
    match kind {
        QaKind::Description => {
            let size = all
                .iter()
                .map(|d| d.size)
                .max()
                .unwrap_or(first.size)
                .name();
            let place = first.location.name();
            let mut places = format!("the {place}");
            if let Some(second) = all.get(1) {
                if second.location == first.location {
                    places = format!("the {place}");
                } else {
                    places = format!("the {place} and the {}", second.location.name());
                }
            }
            let start = if plural {
                format!("There are two {size} {name} on {places} of the {object}.")
            } else if alt {
                format!("The {object} has a {size} {name} on {places}.")
            } else {
                format!("There is a {size} {name} on {places} of the {object}.")
            };
            let look = if plural {
                p.look.replacen("It looks", "Each looks", 1)
            } else {
                p.look.to_owned()
            };
            format!("{start} {look}.")
        }
        QaKind::Impact => {
            let severity = worst.name();
            let effect = p.impact;
            let tail = consequence(worst);
            if plural {
                format!("The two {name} are {severity}. Each {effect}. {tail}")
            } else if alt {
                let a = article(severity);
                format!("This is {a} {severity} {name}. It {effect}. {tail}")
            } else {
                format!("The {name} is {severity}. It {effect}. {tail}")
            }
        }
        QaKind::Suggestion => {
            let tail = verdict(worst);
            let action = p.action;
            if alt {
                format!("{tail} Because of the {name}, {action}.")
            } else {
                format!("Because of the {name}, {action}. {tail}")
            }
        }
    }
}
