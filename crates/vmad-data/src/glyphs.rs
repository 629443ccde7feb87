//! Characters of five by seven dots, as marking printers set them.

use crate::math::floor;

/// Rows of the characters 0–9 and A–Z, five bits each, upper row first.
const ROWS: [[u8; 7]; 36] = [
    [14, 17, 19, 21, 25, 17, 14],
    [4, 12, 4, 4, 4, 4, 14],
    [14, 17, 1, 2, 4, 8, 31],
    [31, 2, 4, 2, 1, 17, 14],
    [2, 6, 10, 18, 31, 2, 2],
    [31, 16, 30, 1, 1, 17, 14],
    [6, 8, 16, 30, 17, 17, 14],
    [31, 1, 2, 4, 8, 8, 8],
    [14, 17, 17, 14, 17, 17, 14],
    [14, 17, 17, 15, 1, 2, 12],
    [14, 17, 17, 31, 17, 17, 17],
    [30, 17, 17, 30, 17, 17, 30],
    [14, 17, 16, 16, 16, 17, 14],
    [28, 18, 17, 17, 17, 18, 28],
    [31, 16, 16, 30, 16, 16, 31],
    [31, 16, 16, 30, 16, 16, 16],
    [14, 17, 16, 23, 17, 17, 15],
    [17, 17, 17, 31, 17, 17, 17],
    [14, 4, 4, 4, 4, 4, 14],
    [7, 2, 2, 2, 2, 18, 12],
    [17, 18, 20, 24, 20, 18, 17],
    [16, 16, 16, 16, 16, 16, 31],
    [17, 27, 21, 21, 17, 17, 17],
    [17, 17, 25, 21, 19, 17, 17],
    [14, 17, 17, 17, 17, 17, 14],
    [30, 17, 17, 30, 16, 16, 16],
    [14, 17, 17, 17, 21, 18, 13],
    [30, 17, 17, 30, 20, 18, 17],
    [15, 16, 16, 14, 1, 1, 30],
    [31, 4, 4, 4, 4, 4, 4],
    [17, 17, 17, 17, 17, 17, 14],
    [17, 17, 17, 17, 17, 10, 4],
    [17, 17, 17, 21, 21, 21, 10],
    [17, 17, 10, 4, 10, 17, 17],
    [17, 17, 17, 10, 4, 4, 4],
    [31, 1, 2, 4, 8, 16, 31],
];

/// Width of a character with its gap, in dots.
pub(crate) const PITCH: f32 = 6.0;

fn dot(text: &[u8], column: i32, row: i32) -> f32 {
    if column < 0 || !(0..7).contains(&row) {
        return 0.0;
    }
    let (glyph, bit) = (column / 6, column % 6);
    match text.get(glyph as usize) {
        Some(c) if bit < 5 => f32::from(ROWS[usize::from(*c) % 36][row as usize] >> (4 - bit) & 1),
        _ => 0.0,
    }
}

/// Ink of a line of characters (numbers below 36) at a point in dots from its upper left corner,
/// 0..1 with soft edges.
pub(crate) fn ink(text: &[u8], x: f32, y: f32) -> f32 {
    let (fx, fy) = (floor(x - 0.5), floor(y - 0.5));
    let (tx, ty) = (x - 0.5 - fx, y - 0.5 - fy);
    let (cx, cy) = (fx as i32, fy as i32);
    let row = |r| dot(text, cx, r) * (1.0 - tx) + dot(text, cx + 1, r) * tx;
    let level = row(cy) * (1.0 - ty) + row(cy + 1) * ty;
    ((level - 0.5) * 2.5 + 0.5).clamp(0.0, 1.0)
}
