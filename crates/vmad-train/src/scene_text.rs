//! A scene in text, without its pixels.

use serde::{Deserialize, Serialize};
use vmad_data::{DefectKind, Location, Qa, QaKind, Sample, Severity, SizeWord};

/// A scene in text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SceneText {
    /// Name of the object.
    pub object: String,
    /// Description of a normal object; may be empty.
    pub normal_description: String,
    /// Its defects.
    pub defects: Vec<DefectText>,
    /// Description, impact and suggestion.
    pub qa: Vec<Qa>,
}

/// A defect in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefectText {
    /// Its kind.
    pub kind: DefectKind,
    /// Where its centre lies.
    pub location: Location,
    /// How large it is.
    pub size: SizeWord,
    /// How much it matters.
    pub severity: Severity,
}

impl SceneText {
    /// The answer about `topic`, if there is one.
    #[must_use]
    pub fn answer(&self, topic: QaKind) -> Option<&str> {
        let qa = self.qa.iter().find(|qa| qa.kind == topic)?;
        Some(&qa.answer)
    }
}

impl From<&Sample> for SceneText {
    fn from(sample: &Sample) -> Self {
        Self {
            object: sample.object.clone(),
            normal_description: sample.normal_description.clone(),
            defects: sample
                .defects
                .iter()
                .map(|defect| DefectText {
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
