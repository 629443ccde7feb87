//! The samples of a step.

use vmad_data::DefectKind;

use crate::dialogue::Dialogue;
use crate::dssl::Memory;
use crate::view::View;

/// Views and their dialogues. The vision stage has no dialogues.
pub struct Batch<'a> {
    /// The views.
    pub views: &'a [&'a View],
    /// Index of each view's scene.
    pub scenes: &'a [u64],
    /// One for each view, or none.
    pub dialogues: &'a [Dialogue],
    /// Token ids of each view's description of the normal scene, for DSSL.
    pub descriptions: &'a [Vec<i32>],
    /// Seed of LoRA's dropout; none outside of training.
    pub dropout: Option<u64>,
    /// DSSL's memory, and whether its loss counts already.
    pub memory: Option<(&'a Memory, bool)>,
}

impl Batch<'_> {
    /// Kinds of defect that the conversation about a view tolerates.
    pub fn tolerated(&self, view: usize) -> &[DefectKind] {
        let dialogue = self.dialogues.get(view);
        dialogue.map_or(&[], |dialogue| &dialogue.tolerated)
    }

    /// Whether the criterion of its conversation rejects each of the views `indices`.
    pub fn verdicts(&self, indices: &[usize]) -> Vec<bool> {
        let is_rejected = |i: &usize| self.views[*i].targets.is_rejected(self.tolerated(*i));
        indices.iter().map(is_rejected).collect()
    }

    /// Indices of the dialogues with a mask.
    pub fn with_mask(&self) -> Vec<usize> {
        let dialogues = self.dialogues.iter().enumerate();
        let with_mask = dialogues.filter(|(_, dialogue)| dialogue.seg.is_some());
        with_mask.map(|(i, _)| i).collect()
    }

    /// `n` views from `start` on, with what belongs to them.
    #[must_use]
    pub fn part(&self, start: usize, n: usize) -> Self {
        fn cut<T>(all: &[T], start: usize, n: usize) -> &[T] {
            let end = (start + n).min(all.len());
            all.get(start..end).unwrap_or_default()
        }
        Self {
            views: cut(self.views, start, n),
            scenes: cut(self.scenes, start, n),
            dialogues: cut(self.dialogues, start, n),
            descriptions: cut(self.descriptions, start, n),
            dropout: self.dropout.map(|seed| seed.wrapping_add(start as u64)),
            memory: self.memory,
        }
    }
}
