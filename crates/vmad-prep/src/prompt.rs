//! Prompts of the three tasks, and where their tokens end up among the visual tokens.

use serde::{Deserialize, Serialize};

use crate::PrepError;
use crate::text::{IMAGE_PLACEHOLDER, IMAGE_SENTINEL};

/// Stands for the object when the user names none.
pub const DEFAULT_OBJECT: &str = "object";

/// How turns of a conversation are written down. The default is Vicuna v1's frame, verbatim, which
/// public LLaVA and LISA checkpoints were trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Text before the first turn; may be empty.
    pub system: String,
    /// Name of the one who asks.
    pub user: String,
    /// Name of the one who answers.
    pub assistant: String,
    /// Between the system text and the first turn, and between question and answer.
    pub separator: String,
    /// After each answer.
    pub end: String,
}

impl Default for Conversation {
    fn default() -> Self {
        Self {
            system: "A chat between a curious human and an artificial intelligence assistant. \
                     The assistant gives helpful, detailed, and polite answers to the human's \
                     questions."
                .to_owned(),
            user: "USER".to_owned(),
            assistant: "ASSISTANT".to_owned(),
            separator: " ".to_owned(),
            end: "</s>".to_owned(),
        }
    }
}

impl Conversation {
    /// First turn about a picture, up to where the answer begins.
    ///
    /// `normal`, a description of the normal scene, comes before the question. Both must have been
    /// sanitised ([`crate::Tokenizer::question`], [`crate::Tokenizer::normal_description`]).
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

/// Names of the three topics within the second template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicNames {
    /// [`Topic::Description`]
    pub description: String,
    /// [`Topic::Impact`]
    pub impact: String,
    /// [`Topic::Suggestion`]
    pub suggestion: String,
}

/// Questions of the segmentation tasks, with the slots `{object}` and `{query}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Templates {
    /// Asks for the mask only; has `{object}`.
    pub segment: String,
    /// Asks for the mask and an answer; has `{object}` and `{query}`.
    pub segment_answer: String,
    /// What `{query}` becomes.
    pub queries: TopicNames,
    /// Words of the answer before `[SEG]`.
    pub answer_prefix: String,
}

impl Default for Templates {
    fn default() -> Self {
        let question = "Are there any abnormalities present in the {object}? \
                        If so, please output the defect segmentation result";
        Self {
            segment: format!("{question}."),
            segment_answer: format!("{question} and provide {{query}}."),
            queries: TopicNames {
                description: "description".to_owned(),
                impact: "impact analysis".to_owned(),
                suggestion: "suggestion analysis".to_owned(),
            },
            answer_prefix: "It is".to_owned(),
        }
    }
}

impl Templates {
    /// Refuses templates without their slots, which would ask about nothing.
    pub fn validate(&self) -> Result<(), PrepError> {
        for (template, text, slot) in [
            ("segment", &self.segment, "{object}"),
            ("segment_answer", &self.segment_answer, "{object}"),
            ("segment_answer", &self.segment_answer, "{query}"),
        ] {
            if !text.contains(slot) {
                return Err(PrepError::TemplateSlot { template, slot });
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
        asked.replace("{object}", object.unwrap_or(DEFAULT_OBJECT))
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

/// Prompt of the scoring mode: template 1 with its answer given up to the word before `[SEG]`.
///
/// The state at its last token predicts `[SEG]`, and is the mask prompt: no sampling is needed.
pub fn scoring_prompt(
    conversation: &Conversation,
    templates: &Templates,
    object: Option<&str>,
    normal: Option<&str>,
) -> String {
    let question = templates.question(object, None);
    let prompt = conversation.first_turn(&question, normal);
    format!("{prompt} {}", templates.answer_prefix)
}

/// Prompt for mask and, with a topic, an answer; ends where the answer begins.
pub fn segment_prompt(
    conversation: &Conversation,
    templates: &Templates,
    object: Option<&str>,
    normal: Option<&str>,
    topic: Option<Topic>,
) -> String {
    conversation.first_turn(&templates.question(object, topic), normal)
}

/// Prompt for a free question about the picture; ends where the answer begins.
pub fn vqa_prompt(conversation: &Conversation, question: &str, normal: Option<&str>) -> String {
    conversation.first_turn(question, normal)
}

/// Place of input `index` after every sentinel before it has become `n_visual` visual tokens.
pub fn expanded_index(input_ids: &[i32], index: usize, n_visual: usize) -> usize {
    let sentinels = input_ids
        .iter()
        .take(index)
        .filter(|&&id| id == IMAGE_SENTINEL)
        .count();
    (index + sentinels * n_visual).saturating_sub(sentinels)
}

/// Places, after expansion, of the states that *predict* each `[SEG]`: one before `[SEG]` itself,
/// so `j + n_visual − 2` for a `[SEG]` at input `j` behind the picture. A `[SEG]` at the very start
/// is predicted by nothing and left out.
pub fn state_index(input_ids: &[i32], seg_id: i32, n_visual: usize) -> Vec<usize> {
    input_ids
        .iter()
        .enumerate()
        .filter(|&(_, &id)| id == seg_id)
        .filter_map(|(index, _)| expanded_index(input_ids, index, n_visual).checked_sub(1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_verbatim() {
        let conversation = Conversation::default();
        let templates = Templates::default();
        let system = "A chat between a curious human and an artificial intelligence assistant. \
                      The assistant gives helpful, detailed, and polite answers to the human's \
                      questions.";
        for (actual, expected) in [
            (
                scoring_prompt(&conversation, &templates, Some("capsule"), None),
                "USER: <im_start><image><im_end>\nAre there any abnormalities present in the \
                 capsule? If so, please output the defect segmentation result. ASSISTANT: It is",
            ),
            (
                segment_prompt(
                    &conversation,
                    &templates,
                    None,
                    Some("A normal one is smooth."),
                    Some(Topic::Impact),
                ),
                "USER: <im_start><image><im_end>\nA normal one is smooth. Are there any \
                 abnormalities present in the object? If so, please output the defect segmentation \
                 result and provide impact analysis. ASSISTANT:",
            ),
            (
                vqa_prompt(&conversation, "What is it?", None),
                "USER: <im_start><image><im_end>\nWhat is it? ASSISTANT:",
            ),
        ] {
            assert_eq!(actual, format!("{system} {expected}"));
        }
        assert_eq!(conversation.follow_up("Why?"), "USER: Why? ASSISTANT:");
        assert_eq!(
            conversation.answered("Q ASSISTANT:", "A"),
            "Q ASSISTANT: A</s>"
        );
        assert_eq!(templates.answer(Some("A dent.")), "It is [SEG]. A dent.");
    }

    #[test]
    fn user_braces_stay_words() {
        let question = Templates::default().question(Some("{query}"), Some(Topic::Description));
        assert!(question.contains("in the {query}?"), "{question}");
    }

    #[test]
    fn templates_without_slots_are_refused() {
        let mut templates = Templates::default();
        assert_eq!(templates.validate(), Ok(()));
        templates.segment_answer = "Any defect in the {object}?".to_owned();
        assert_eq!(
            templates.validate(),
            Err(PrepError::TemplateSlot {
                template: "segment_answer",
                slot: "{query}"
            })
        );
    }

    #[test]
    fn state_precedes_seg() {
        let seg = 7;
        for (ids, n_visual, expected) in [
            (vec![1, IMAGE_SENTINEL, 5, seg, 6], 144, vec![145]),
            (vec![1, IMAGE_SENTINEL, 5, seg, 6, seg], 256, vec![257, 259]),
            (vec![1, 5, seg], 256, vec![1]),
            (vec![seg, IMAGE_SENTINEL], 4, vec![]),
            (vec![1, IMAGE_SENTINEL, 5], 4, vec![]),
        ] {
            assert_eq!(state_index(&ids, seg, n_visual), expected, "{ids:?}");
        }
        assert_eq!(expanded_index(&[1, IMAGE_SENTINEL, 5], 1, 9), 1);
        assert_eq!(expanded_index(&[1, IMAGE_SENTINEL, 5], 2, 9), 10);
    }
}
