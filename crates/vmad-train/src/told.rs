//! What is known of a scene in words, without its pixels.

use serde::{Deserialize, Serialize};
use vmad_data::{DefectKind, Location, Qa, QaKind, Sample, Severity, SizeWord};

/// What there is to say about a scene.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What it shows.
    pub object: String,
    /// What a good one looks like; may be empty.
    pub normal_description: String,
    /// Its defects.
    pub defects: Vec<ToldDefect>,
    /// Description, impact and suggestion.
    pub qa: Vec<Qa>,
}

/// A defect in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldDefect {
    /// Its kind.
    pub kind: DefectKind,
    /// Where its centre lies.
    pub location: Location,
    /// How large it is.
    pub size: SizeWord,
    /// How much it matters.
    pub severity: Severity,
}

impl Told {
    /// The answer about `topic`, if there is one.
    #[must_use]
    pub fn answer(&self, topic: QaKind) -> Option<&str> {
        let qa = self.qa.iter().find(|qa| qa.kind == topic)?;
        Some(&qa.answer)
    }
}

impl From<&Sample> for Told {
    fn from(sample: &Sample) -> Self {
        Self {
            object: sample.object.clone(),
            normal_description: sample.normal_description.clone(),
            defects: sample
                .defects
                .iter()
                .map(|defect| ToldDefect {
                    kind: defect.kind,
                    location: defect.location,
                    size: defect.size,
                    severity: defect.severity,
                })
                .collect(),
            qa: sample.qa.clone(),
        }
    }
}
