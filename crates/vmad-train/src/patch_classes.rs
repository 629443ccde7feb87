//! Classes of patches and cells: normal, one for each kind of defect, unknown.

use vmad_data::DefectKind;

/// Class of a patch without a defect; defect kinds count from 1.
pub const NORMAL_PATCH: u8 = 0;
/// Class of a patch where the kinds of the defects are not known: it has no loss.
pub const UNKNOWN_PATCH: u8 = u8::MAX;
/// Number of classes: normal and 15 kinds.
pub const PATCH_CLASSES: usize = 16;

/// The class of a kind of defect.
pub fn class_of(kind: DefectKind) -> u8 {
    kind.id() as u8 + 1
}

/// The known kinds of defect in a square of patches, each with the cells that it covers in a square
/// of `side`² cells.
pub fn cells_by_kind(patches: &[u8], side: usize) -> Vec<(DefectKind, Vec<usize>)> {
    let classes = downsampled(patches, side);
    let cells = |kind: DefectKind| {
        let class = i32::from(class_of(kind));
        let numbered = classes.iter().enumerate();
        let covered = numbered.filter(|(_, c)| **c == class).map(|(cell, _)| cell);
        (kind, covered.collect::<Vec<_>>())
    };
    let all = DefectKind::ALL.into_iter().map(cells);
    all.filter(|(_, cells)| !cells.is_empty()).collect()
}

/// Classes of a square of patches in a square of `side`² cells: a cell has the class of its defect, if
/// it has one.
pub fn downsampled(patches: &[u8], side: usize) -> Vec<i32> {
    let grid = patches.len().isqrt();
    let mut classes = vec![NORMAL_PATCH; side * side];
    for (i, class) in patches.iter().enumerate() {
        let (row, column) = (i / grid * side / grid, i % grid * side / grid);
        let kept = &mut classes[row * side + column];
        *kept = (*kept).max(*class);
    }
    classes.into_iter().map(i32::from).collect()
}
