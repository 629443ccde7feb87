//! What a view teaches: masks, classes and text.

use vmad_data::{Defect, DefectKind, Sample};
use vmad_model::VmadConfig;
use vmad_prep::PhotoFrame;

use crate::crop_window::CropWindow;
use crate::patch_classes::{NORMAL_PATCH, UNKNOWN_PATCH, class_of};
use crate::scene_text::SceneText;
use crate::worlds::Worlds;

/// The targets of a view.
pub struct Targets {
    /// Kinds of defect, each with the share of each cell that it covers, `[mask_side, mask_side]`,
    /// 0 to 255.
    pub masks: Vec<(DefectKind, Vec<u8>)>,
    /// Class of each CLIP patch.
    pub patches: Vec<u8>,
    /// Class of each cell of SAM's embedding.
    pub cells: Vec<u8>,
    /// Class of the object, below [`Worlds::N_OBJECTS`].
    pub object: usize,
    /// Whether places in the text are true of these pixels.
    pub has_true_places: bool,
    /// The scene in text.
    pub text: SceneText,
}

impl Targets {
    /// The targets of the part of a scene that `window` shows; `is_cropped` says that it is not the whole.
    pub fn new(
        model: &VmadConfig,
        sample: &Sample,
        window: CropWindow,
        frame: PhotoFrame,
        is_cropped: bool,
    ) -> Self {
        let source = MaskSource {
            sample,
            window,
            frame,
        };
        let kinds_are_known = !sample.qa.is_empty() || sample.defects.is_empty();
        let classes = |square: Square, grid: usize| match kinds_are_known {
            true => source.patch_classes(square, grid),
            false => vec![UNKNOWN_PATCH; grid.pow(2)],
        };
        Self {
            masks: source.by_kind(Square::Sam, model.sam.mask_side()),
            patches: classes(Square::Clip, model.clip.grid()),
            cells: classes(Square::Sam, model.sam.grid()),
            object: Worlds::object_class(sample),
            has_true_places: !is_cropped,
            text: SceneText::from(sample),
        }
    }

    /// The share of each of the mask's `n_cells` that is defective by a criterion that tolerates
    /// some kinds, 0 to 255.
    pub fn mask(&self, tolerated: &[DefectKind], n_cells: usize) -> Vec<u8> {
        let mut union = vec![0_u8; n_cells];
        for (kind, mask) in &self.masks {
            if tolerated.contains(kind) {
                continue;
            }
            for (all, share) in union.iter_mut().zip(mask) {
                *all = all.saturating_add(*share);
            }
        }
        union
    }

    /// The kinds of defect that a criterion does not tolerate.
    pub fn rejected_kinds(&self, tolerated: &[DefectKind]) -> impl Iterator<Item = DefectKind> {
        let kinds = self.masks.iter().map(|(kind, _)| *kind);
        kinds.filter(|kind| !tolerated.contains(kind))
    }

    /// Whether a criterion that tolerates some kinds rejects the view.
    pub fn is_rejected(&self, tolerated: &[DefectKind]) -> bool {
        self.rejected_kinds(tolerated).next().is_some()
    }

    /// The class of the only kind of defect that a criterion does not tolerate, or [`NORMAL_PATCH`];
    /// [`UNKNOWN_PATCH`] where there are several.
    pub fn only_class(&self, tolerated: &[DefectKind]) -> u8 {
        if self.patches.contains(&UNKNOWN_PATCH) {
            return UNKNOWN_PATCH;
        }
        let mut rejected = self.rejected_kinds(tolerated);
        match (rejected.next(), rejected.next()) {
            (None, _) => NORMAL_PATCH,
            (Some(kind), None) => class_of(kind),
            (Some(_), Some(_)) => UNKNOWN_PATCH,
        }
    }
}

/// The encoder input that a grid of cells divides.
#[derive(Clone, Copy)]
enum Square {
    Clip,
    Sam,
}

/// The masks of a cropped scene.
struct MaskSource<'a> {
    sample: &'a Sample,
    /// The part of the scene that the photograph shows.
    window: CropWindow,
    frame: PhotoFrame,
}

impl MaskSource<'_> {
    /// For each kind of defect the share of each cell that it covers, `[side, side]`, 0 to 255.
    fn by_kind(&self, square: Square, side: usize) -> Vec<(DefectKind, Vec<u8>)> {
        let mut kinds: Vec<DefectKind> = self.sample.defects.iter().map(|d| d.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let shares = |kind| {
            let defects = self.sample.defects.iter();
            let defects = defects.filter(|defect| defect.kind == kind);
            (kind, self.shares(defects, square, side))
        };
        kinds.into_iter().map(shares).collect()
    }

    fn shares<'a>(
        &self,
        defects: impl Iterator<Item = &'a Defect>,
        square: Square,
        side: usize,
    ) -> Vec<u8> {
        let CropWindow {
            x: left,
            y: top,
            width,
            height,
        } = self.window;
        let mut pixels = vec![0_u32; side * side];
        for defect in defects {
            for y in 0..height {
                for x in 0..width {
                    if defect.mask.get_pixel(x + left, y + top).0[0] <= 127 {
                        continue;
                    }
                    let cell = match square {
                        Square::Clip => self.frame.clip_cell((x, y), side),
                        Square::Sam => Some(self.frame.sam_cell((x, y), side)),
                    };
                    if let Some(cell) = cell {
                        pixels[cell] += 1;
                    }
                }
            }
        }
        let area = match square {
            Square::Clip => self.frame.clip_cell_pixels(side),
            Square::Sam => self.frame.sam_cell_pixels(side),
        };
        pixels
            .iter()
            .map(|count| (*count as f32 / area * 255.0).min(255.0) as u8)
            .collect()
    }

    /// Class of each patch: the kind of the defect that covers most of it, where that is at least
    /// 2 % of the patch.
    fn patch_classes(&self, square: Square, side: usize) -> Vec<u8> {
        const MIN_SHARE: u8 = 5;
        let mut classes = vec![NORMAL_PATCH; side * side];
        let mut largest = vec![MIN_SHARE; side * side];
        for (kind, shares) in self.by_kind(square, side) {
            for ((class, largest), share) in classes.iter_mut().zip(&mut largest).zip(shares) {
                if share > *largest {
                    (*class, *largest) = (class_of(kind), share);
                }
            }
        }
        classes
    }
}
