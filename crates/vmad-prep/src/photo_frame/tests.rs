//! The transforms against the same arithmetic written out for each use, bit for bit.

use super::*;

const SIZES: [(u32, u32); 12] = [
    (1, 1),
    (1, 2),
    (64, 32),
    (33, 64),
    (255, 256),
    (300, 201),
    (1, 4096),
    (20_000, 1),
    (777, 1001),
    (1001, 777),
    (1024, 1023),
    (4000, 3000),
];
const MODES: [ClipMode; 2] = [ClipMode::Pad, ClipMode::Crop];
const SIDES: [usize; 5] = [1, 7, 8, 16, 64];

fn frame(photo_size: (u32, u32), clip_mode: ClipMode) -> PhotoFrame {
    PhotoFrame {
        photo_size,
        clip_size: 112,
        clip_mode,
        sam_size: 256,
    }
}

/// Calls `check` with every frame, both axes of it, and the axis' pixels.
fn for_each_axis(check: impl Fn(&PhotoFrame, FrameAxis, u32)) {
    for size in SIZES {
        for mode in MODES {
            let frame = frame(size, mode);
            check(&frame, frame.x(), size.0);
            check(&frame, frame.y(), size.1);
        }
    }
}

/// Sides of CLIP's and of SAM's square in pixels of the photograph.
fn squares(frame: &PhotoFrame) -> (f32, f32) {
    let (width, height) = (frame.photo_size.0 as f32, frame.photo_size.1 as f32);
    let longer = width.max(height);
    match frame.clip_mode {
        ClipMode::Pad => (longer, longer),
        ClipMode::Crop => (width.min(height), longer),
    }
}

fn bits(values: impl IntoIterator<Item = Option<f32>>) -> Vec<Option<u32>> {
    let values = values.into_iter();
    values.map(|value| value.map(f32::to_bits)).collect()
}

#[test]
fn sam_sizes_are_rounded_as_sam_rounds_them() {
    for (width, height, resized) in [
        (1920, 1080, (1024, 576)),
        (1080, 1920, (576, 1024)),
        (1024, 1023, (1024, 1023)),
        (4000, 2, (1024, 1)),
        (20_000, 1, (1024, 1)),
        (1, 1, (1024, 1024)),
    ] {
        let frame = PhotoFrame {
            sam_size: 1024,
            ..frame((width, height), ClipMode::Pad)
        };
        assert_eq!(frame.sam_resized(), resized);
        let (wide, high) = (f64::from(resized.0), f64::from(resized.1));
        assert_eq!(frame.photo_edges_in_sam(), [0.0, 0.0, wide, high]);
    }
}

#[test]
fn points_go_there_and_back() {
    for_each_axis(|frame, axis, length| {
        for at in [0.0, 0.25, 0.5, 1.0] {
            let pixel = at * length as f32;
            for back in [
                axis.photo_from_clip(axis.clip_from_photo(pixel)),
                axis.photo_from_sam(axis.sam_from_photo(pixel)),
            ] {
                // A few roundings of numbers as large as the longer side.
                let error = (back - pixel).abs();
                assert!(
                    error <= 1e-6 * squares(frame).1,
                    "{frame:?}: {pixel} {back}"
                );
            }
        }
    });
    let frame = frame((64, 32), ClipMode::Pad);
    assert_eq!(frame.clip_from_photo([48.0, 16.0]), [0.75, 0.5]);
    assert_eq!(frame.sam_from_photo([48.0, 16.0]), [0.75, 0.25]);
    assert_eq!(frame.photo_from_clip([0.75, 0.5]), [48.0, 16.0]);
    assert_eq!(frame.photo_from_sam([0.75, 0.25]), [48.0, 16.0]);
}

#[test]
fn cells_of_clips_square_lie_in_sams() {
    for_each_axis(|frame, axis, length| {
        let (square, longer) = squares(frame);
        let length = length as f32;
        for side in SIDES {
            let expected = (0..side).map(|i| {
                let pixel = (i as f32 + 0.5) / side as f32 * square + (length - square) / 2.0;
                (0.0..length).contains(&pixel).then_some(pixel / longer)
            });
            let actual = axis.sam_shares_of_clip_cells(side);
            assert_eq!(bits(actual), bits(expected), "{frame:?}, {side}");
        }
    });
}

#[test]
fn cells_of_sams_square_lie_on_the_photograph() {
    for_each_axis(|frame, axis, length| {
        let (_, longer) = squares(frame);
        let length = length as f32;
        for side in SIDES {
            let expected = (0..side).map(|i| {
                let pixel = (i as f32 + 0.5) / side as f32 * longer;
                (pixel < length).then_some(pixel / length)
            });
            let actual = axis.photo_shares_of_sam_cells(side);
            assert_eq!(bits(actual), bits(expected), "{frame:?}, {side}");
        }
    });
}

#[test]
fn cells_with_photograph_are_those_that_overlap_it() {
    for size in SIZES {
        for mode in MODES {
            let frame = frame(size, mode);
            let (square, _) = squares(&frame);
            for side in SIDES {
                let holds = |length: u32, cell: usize| {
                    let length = length as f32;
                    let start = (length - square) / 2.0;
                    let at = |edge: usize| edge as f32 / side as f32 * square + start;
                    at(cell) < length && at(cell + 1) > 0.0
                };
                let mut expected = Vec::new();
                for row in 0..side {
                    expected.extend((0..side).map(|x| holds(size.1, row) && holds(size.0, x)));
                }
                assert_eq!(frame.clip_cells_with_photo(side), expected, "{frame:?}");
            }
        }
    }
}

#[test]
fn patch_weights_are_bilinear_over_the_photograph() {
    for_each_axis(|frame, axis, length| {
        let (square, longer) = squares(frame);
        let length = length as f32;
        let start = (length - square) / 2.0;
        for (side, grid) in [(16, 8), (64, 7), (256, 14), (5, 1)] {
            let at = |edge: usize| edge as f32 / grid as f32 * square + start;
            let holds: Vec<usize> = (0..grid)
                .filter(|i| at(*i) < length && at(*i + 1) > 0.0)
                .collect();
            let mut expected = vec![0.0_f32; side * grid];
            for (i, weights) in expected.chunks_mut(grid).enumerate() {
                let pixel = (i as f32 + 0.5) / side as f32 * longer;
                let share = (pixel - start) / square;
                if pixel >= length || !(0.0..1.0).contains(&share) {
                    continue;
                }
                let (first, last) = (holds[0], holds[holds.len() - 1]);
                let at = (share * grid as f32 - 0.5).clamp(first as f32, last as f32);
                let low = at as usize;
                weights[low] += 1.0 - at.fract();
                weights[(low + 1).min(last)] += at.fract();
            }
            let actual = axis.sam_from_clip_weights(side, grid);
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&actual), bits(&expected), "{frame:?}, {side}, {grid}");
        }
    });
}

#[test]
fn weights_have_hand_made_values() {
    // 64×32 pixels padded to CLIP's square of 8 patches: rows 2 to 5 are photograph.
    let down = frame((64, 32), ClipMode::Pad).y();
    let holds: Vec<usize> = (0..8).filter(|i| down.clip_cell_has_photo(*i, 8)).collect();
    assert_eq!(holds, [2, 3, 4, 5]);
    let weights = down.sam_from_clip_weights(16, 8);
    for (i, row) in weights.chunks(8).enumerate() {
        // SAM's square has the photograph in its upper half.
        let sum: f32 = row.iter().sum();
        assert!((sum - f32::from(u8::from(i < 8))).abs() < 1e-6, "{i}");
        assert!(row[..2].iter().chain(&row[6..]).all(|w| *w == 0.0), "{i}");
    }
    assert_eq!(
        weights[3 * 8..4 * 8],
        [0.0, 0.0, 0.0, 0.75, 0.25, 0.0, 0.0, 0.0]
    );
    // Cropped to the middle 32 of 64 columns: samples of the others have no weights.
    let across = frame((64, 32), ClipMode::Crop).x();
    assert!((0..8).all(|i| across.clip_cell_has_photo(i, 8)));
    let weights = across.sam_from_clip_weights(16, 8);
    let covered: Vec<usize> = (0..16)
        .filter(|i| weights[i * 8..(i + 1) * 8].iter().any(|w| *w != 0.0))
        .collect();
    assert_eq!(covered, (4..12).collect::<Vec<_>>());
}

#[test]
fn pixels_fall_into_cells() {
    for size in SIZES {
        let (width, height) = size;
        let longer = width.max(height);
        let corners = [(0, 0), (width / 2, height / 3), (width - 1, height - 1)];
        for side in SIDES {
            let cell = |at: u32| at as usize * side / longer as usize;
            for (x, y) in corners {
                let padded = frame(size, ClipMode::Pad);
                let offset = ((longer - width) / 2, (longer - height) / 2);
                let expected = cell(y + offset.1) * side + cell(x + offset.0);
                assert_eq!(padded.clip_cell((x, y), side), Some(expected), "{size:?}");
                let expected = cell(y) * side + cell(x);
                assert_eq!(padded.sam_cell((x, y), side), expected, "{size:?}");
            }
            let frame = frame(size, ClipMode::Pad);
            let area = (longer as f32 / side as f32).powi(2);
            assert_eq!(frame.clip_cell_pixels(side), area);
            assert_eq!(frame.sam_cell_pixels(side), area);
            let n_cells = side * side;
            assert_eq!(
                frame.photo_area_in_sam_cells(n_cells),
                n_cells as f32 * width.min(height) as f32 / longer as f32
            );
        }
    }
    // The middle 32 of 64 columns, in 4 cells of 8 pixels.
    let cropped = frame((64, 32), ClipMode::Crop);
    for (x, expected) in [
        (0, None),
        (15, None),
        (16, Some(0)),
        (31, Some(1)),
        (47, Some(3)),
        (48, None),
    ] {
        assert_eq!(cropped.clip_cell((x, 0), 4), expected, "column {x}");
    }
    assert_eq!(cropped.clip_cell_pixels(4), 64.0);
}

#[test]
fn edges_of_the_photograph_in_clips_input() {
    for (photo_size, mode, expected) in [
        ((300, 201), ClipMode::Pad, [0.0, 49.0, 300.0, 250.0]),
        ((100, 300), ClipMode::Pad, [100.0, 0.0, 200.0, 300.0]),
        ((100, 300), ClipMode::Crop, [0.0, 0.0, 300.0, 300.0]),
        ((7, 7), ClipMode::Pad, [0.0, 0.0, 300.0, 300.0]),
    ] {
        let frame = PhotoFrame {
            clip_size: 300,
            ..frame(photo_size, mode)
        };
        let actual = frame.photo_edges_in_clip();
        let mut pairs = actual.iter().zip(expected);
        assert!(
            pairs.all(|(a, e)| (a - e).abs() < 1e-9),
            "{frame:?}: {actual:?}, expected {expected:?}"
        );
    }
}

#[test]
fn boxes_of_sams_input_lie_in_the_photograph() {
    let frame = |photo_size| PhotoFrame {
        photo_size,
        sam_size: 1024,
        ..frame(photo_size, ClipMode::Pad)
    };
    let large = frame((3000, 2001));
    let (width, height) = large.sam_resized();
    let box_of = |[x, y, width, height]: [u32; 4]| PixelBox {
        x,
        y,
        width,
        height,
    };
    for (frame, sam, photo) in [
        (large, [0, 0, width, height], [0, 0, 3000, 2001]),
        (large, [1023, 682, 1, 1], [2997, 1998, 3, 3]),
        // A photograph smaller than the square: several boxes fall on one pixel.
        (frame((2, 1)), [1023, 511, 1, 1], [1, 0, 1, 1]),
    ] {
        assert_eq!(frame.photo_from_sam_box(box_of(sam)), box_of(photo));
    }
}

#[test]
fn taps_hold_between_centres() {
    for (share, n, expected) in [
        (0.0, 4, Some((0, 1, 0.0))),
        (0.5, 4, Some((1, 2, 0.5))),
        (0.625, 4, Some((2, 3, 0.0))),
        (1.0, 4, Some((3, 3, 0.0))),
        (-3.0, 4, Some((0, 1, 0.0))),
        (7.0, 1, Some((0, 0, 0.0))),
        (0.5, 0, None),
    ] {
        let tap = LinearTap::at(share, n).map(|tap| (tap.low, tap.high, tap.high_weight));
        assert_eq!(tap, expected, "{share} of {n}");
    }
}
