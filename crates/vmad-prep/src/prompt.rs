//! Prompts of the three tasks, and positions of their tokens after expansion of the visual tokens.

use vmad_package::{Conversation, Templates, Topic};

use crate::text::IMAGE_SENTINEL;

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

/// Position of input `index` after each sentinel before it is replaced by `n_visual` visual tokens.
pub fn expanded_index(input_ids: &[i32], index: usize, n_visual: usize) -> usize {
    let sentinels = input_ids
        .iter()
        .take(index)
        .filter(|&&id| id == IMAGE_SENTINEL)
        .count();
    (index + sentinels * n_visual).saturating_sub(sentinels)
}

/// Positions, after expansion, of the states that *predict* each `[SEG]`: one before `[SEG]` itself,
/// so `j + n_visual − 2` for a `[SEG]` at input `j` after the picture. A `[SEG]` at position 0 has no
/// such state and is left out.
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
        let conversation = Conversation::vicuna_v1();
        let templates = Templates::paper();
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
