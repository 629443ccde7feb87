//! The conversation format of a model and the templates of its tasks.

use serde::{Deserialize, Serialize};

use crate::PackageError;

/// Stands for the picture within a prompt.
pub const IMAGE_PLACEHOLDER: &str = "<image>";

/// Stands for the object when the user names none and the package has no word of its own for it.
pub const DEFAULT_OBJECT: &str = "object";

/// The text format of a conversation.
///
/// With `␣` for a space, question `q` and answer `a`:
/// `{system}{separator}{user}:␣{q}{separator}{assistant}:␣{a}{end}`; each further
/// turn continues with `{user}:␣…`. A prompt for generation stops after
/// `{assistant}:`, without a space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Text before the first turn.
    pub system: String,
    /// Name of the asking side.
    pub user: String,
    /// Name of the answering side.
    pub assistant: String,
    /// Between the system text, a question and an answer.
    pub separator: String,
    /// After an answer; the text of the end-of-sequence token.
    pub end: String,
}

impl Conversation {
    /// The frame of Vicuna v1, as LLaVA and LISA use it.
    pub fn vicuna_v1() -> Self {
        Self {
            system: "A chat between a curious human and an artificial intelligence assistant. \
                     The assistant gives helpful, detailed, and polite answers to the human's \
                     questions."
                .into(),
            user: "USER".into(),
            assistant: "ASSISTANT".into(),
            separator: " ".into(),
            end: "</s>".into(),
        }
    }

    /// First turn about a picture, up to where the answer begins.
    ///
    /// `normal`, a description of the normal scene, comes before the question. Neither may hold
    /// special tokens: whoever takes them from outside removes those first.
    pub fn first_turn(&self, question: &str, normal: Option<&str>) -> String {
        let slot = format!("<im_start>{IMAGE_PLACEHOLDER}<im_end>\n");
        let turn = match normal {
            Some(normal) => self.follow_up(&format!("{slot}{normal} {question}")),
            None => self.follow_up(&format!("{slot}{question}")),
        };
        if self.system.is_empty() {
            turn
        } else {
            format!("{}{}{turn}", self.system, self.separator)
        }
    }

    /// A further turn, up to where the answer begins. It follows directly on [`Self::end`].
    pub fn follow_up(&self, question: &str) -> String {
        let Self {
            user,
            assistant,
            separator,
            ..
        } = self;
        format!("{user}: {question}{separator}{assistant}:")
    }

    /// A prompt with its answer, as in training; `prompt` ends where the answer begins.
    pub fn answered(&self, prompt: &str, answer: &str) -> String {
        format!("{prompt} {answer}{}", self.end)
    }
}

/// What an answer after the mask is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// What the defect looks like and where it is.
    Description,
    /// What it does to the part's function.
    Impact,
    /// What to do about it.
    Suggestion,
}

/// The wording of the tasks. `{object}` stands for the object's name and
/// `{query}` for one of [`Queries`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Templates {
    /// Question that asks for a mask only. Holds `{object}`.
    pub segment: String,
    /// Question that asks for a mask and an answer. Holds `{object}` and `{query}`.
    pub segment_answer: String,
    /// What `{query}` becomes.
    pub queries: Queries,
    /// Start of an answer up to the segmentation token, for scoring without sampling.
    pub answer_prefix: String,
    /// Stands for the object when the user names none: a name that the model has learned to repeat.
    #[serde(default = "unnamed", skip_serializing_if = "is_unnamed")]
    pub unnamed: String,
}

fn unnamed() -> String {
    DEFAULT_OBJECT.to_owned()
}

fn is_unnamed(name: &str) -> bool {
    name == DEFAULT_OBJECT
}

impl Templates {
    /// The wording of the paper.
    pub fn paper() -> Self {
        Self {
            segment: "Are there any abnormalities present in the {object}? \
                      If so, please output the defect segmentation result."
                .into(),
            segment_answer: "Are there any abnormalities present in the {object}? If so, please \
                             output the defect segmentation result and provide {query}."
                .into(),
            queries: Queries {
                description: "description".into(),
                impact: "impact analysis".into(),
                suggestion: "suggestion analysis".into(),
            },
            answer_prefix: "It is".into(),
            unnamed: unnamed(),
        }
    }

    /// Refuses templates without their slots, which would ask about nothing.
    ///
    /// # Errors
    /// [`PackageError::TemplateSlot`] names the template and the slot.
    pub fn validate(&self) -> Result<(), PackageError> {
        for (template, text, slot) in [
            ("segment", &self.segment, "{object}"),
            ("segment_answer", &self.segment_answer, "{object}"),
            ("segment_answer", &self.segment_answer, "{query}"),
        ] {
            if !text.contains(slot) {
                return Err(PackageError::TemplateSlot { template, slot });
            }
        }
        Ok(())
    }

    /// Question of the first template, or of the second when there is a topic.
    pub fn question(&self, object: Option<&str>, topic: Option<Topic>) -> String {
        let asked = match topic {
            None => self.segment.clone(),
            Some(topic) => self.segment_answer.replace("{query}", self.name(topic)),
        };
        // Last, so that braces in the user's words stay words.
        asked.replace("{object}", object.unwrap_or(&self.unnamed))
    }

    /// Answer to the first template, or to the second when there is something to say.
    pub fn answer(&self, words: Option<&str>) -> String {
        match words {
            None => format!("{} [SEG].", self.answer_prefix),
            Some(words) => format!("{} [SEG]. {words}", self.answer_prefix),
        }
    }

    fn name(&self, topic: Topic) -> &str {
        match topic {
            Topic::Description => &self.queries.description,
            Topic::Impact => &self.queries.impact,
            Topic::Suggestion => &self.queries.suggestion,
        }
    }
}

/// What `{query}` becomes for the three kinds of question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queries {
    /// Asks what the defect looks like.
    pub description: String,
    /// Asks what follows from it.
    pub impact: String,
    /// Asks what to do about it.
    pub suggestion: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_without_a_name_has_the_packages() -> Result<(), serde_json::Error> {
        let mut templates = Templates::paper();
        assert!(templates.question(None, None).contains("in the object?"));
        let written = serde_json::to_value(&templates)?;
        assert!(written.get("unnamed").is_none(), "{written}");
        assert_eq!(serde_json::from_value::<Templates>(written)?, templates);
        templates.unnamed = "part".to_owned();
        assert!(templates.question(None, None).contains("in the part?"));
        assert!(
            templates
                .question(Some("nut"), None)
                .contains("in the nut?")
        );
        let written = serde_json::to_value(&templates)?;
        assert_eq!(written["unnamed"], "part");
        Ok(())
    }

    #[test]
    fn user_braces_stay_words() {
        let question = Templates::paper().question(Some("{query}"), Some(Topic::Description));
        assert!(question.contains("in the {query}?"), "{question}");
    }

    #[test]
    fn templates_without_slots_are_refused() {
        let mut templates = Templates::paper();
        assert!(templates.validate().is_ok());
        templates.segment_answer = "Any defect in the {object}?".to_owned();
        assert!(matches!(
            templates.validate(),
            Err(PackageError::TemplateSlot {
                template: "segment_answer",
                slot: "{query}"
            })
        ));
    }
}
