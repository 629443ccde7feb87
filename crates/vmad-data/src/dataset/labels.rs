//! What the labels and category names of public data sets mean.

use crate::defect::DefectKind;

/// Words of labels that mean a kind, besides the names of the kinds themselves. Words that
/// say only that something is wrong ("broken", "bad", "combined"), or that mean different things
/// in different products ("thread", "spot"), mean none.
const SYNONYMS: &[(DefectKind, &[&str])] = &[
    (DefectKind::Scratch, &["scratched", "scratching"]),
    (DefectKind::Crack, &["cracked", "fracture", "fractured"]),
    (
        DefectKind::Stain,
        &["stained", "oil", "liquid", "water", "ink"],
    ),
    (
        DefectKind::Hole,
        &[
            "pinhole",
            "pinholes",
            "puncture",
            "punctured",
            "poke",
            "poked",
        ],
    ),
    (
        DefectKind::Dent,
        &[
            "dented",
            "bent",
            "squeeze",
            "squeezed",
            "deformed",
            "deformation",
        ],
    ),
    (DefectKind::Chip, &["chipped", "chipping", "chunk"]),
    (
        DefectKind::Discolouration,
        &[
            "color",
            "colour",
            "discolor",
            "discolour",
            "discolored",
            "discoloured",
            "discoloration",
        ],
    ),
    (
        DefectKind::Contamination,
        &[
            "contaminated",
            "foreign",
            "glue",
            "dirt",
            "dirty",
            "dust",
            "residue",
        ],
    ),
    (DefectKind::Burr, &[]),
    (
        DefectKind::Rust,
        &["rusty", "rusted", "corrosion", "corroded"],
    ),
    (DefectKind::Bubble, &["blister", "blisters"]),
    (DefectKind::Burn, &["burnt", "burned", "scorch", "scorched"]),
    (DefectKind::Cut, &["tear", "torn", "slit"]),
    (DefectKind::Abrasion, &["abraded", "rough", "worn", "scuff"]),
    (DefectKind::Misprint, &["print", "imprint", "printing"]),
];

/// The kind of defect that a label names: that of its first word which is a kind's name, singular
/// or plural, or one of the synonyms in `docs/datasets.md`.
pub fn kind_of_label(label: &str) -> Option<DefectKind> {
    label
        .split(|c: char| !c.is_alphanumeric())
        .find_map(|word| {
            let word = word.to_lowercase();
            DefectKind::find_in(&word).or_else(|| {
                SYNONYMS
                    .iter()
                    .find(|(_, words)| words.contains(&word.as_str()))
                    .map(|(kind, _)| *kind)
            })
        })
}

/// Categories whose names are no words, as VisA has them, with their words.
const OBJECTS: &[(&str, &str)] = &[
    ("chewinggum", "chewing gum"),
    ("macaroni1", "macaroni"),
    ("macaroni2", "macaroni"),
    ("pcb1", "printed circuit board"),
    ("pcb2", "printed circuit board"),
    ("pcb3", "printed circuit board"),
    ("pcb4", "printed circuit board"),
];

/// A category's name as words for a sentence.
pub fn object_words(category: &str) -> String {
    match OBJECTS.iter().find(|(name, _)| *name == category) {
        Some((_, words)) => (*words).to_owned(),
        None => category.replace('_', " ").trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_public_sets() {
        use DefectKind::*;
        for (label, expected) in [
            // MVTec AD
            ("broken_large", None),
            ("bent_wire", Some(Dent)),
            ("cut_inner_insulation", Some(Cut)),
            ("faulty_imprint", Some(Misprint)),
            ("color", Some(Discolouration)),
            ("metal_contamination", Some(Contamination)),
            ("glue_strip", Some(Contamination)),
            ("thread_side", None),
            ("scratch_head", Some(Scratch)),
            ("oil", Some(Stain)),
            ("rough", Some(Abrasion)),
            ("defective", None),
            // VisA
            ("bad", None),
            ("chunk of wax missing", Some(Chip)),
            ("foreign bodies on candle", Some(Contamination)),
            ("different colour spot", Some(Discolouration)),
            ("small scratches", Some(Scratch)),
            ("Burnt", Some(Burn)),
            ("corner or edge breakage", None),
            // COCO
            ("Discolouration", Some(Discolouration)),
            ("pin-holes", Some(Hole)),
            ("stainless", None),
            ("", None),
        ] {
            assert_eq!(kind_of_label(label), expected, "{label}");
        }
    }

    #[test]
    fn a_synonym_stands_for_one_kind() {
        for (kind, words) in SYNONYMS {
            for word in *words {
                assert_eq!(kind_of_label(word), Some(*kind), "{word}");
            }
        }
        assert!(SYNONYMS.iter().map(|(kind, _)| *kind).eq(DefectKind::ALL));
    }

    #[test]
    fn names_become_words() {
        for (name, words) in [
            ("metal_nut", "metal nut"),
            ("pcb3", "printed circuit board"),
            ("bottle", "bottle"),
            ("_x_", "x"),
        ] {
            assert_eq!(object_words(name), words);
        }
    }
}
