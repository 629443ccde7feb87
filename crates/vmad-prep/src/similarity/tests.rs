//! Tests of the similarity prior.

use super::whitening::diagonalise;
use super::*;

/// A weave with a little noise from a fixed recurrence.
fn weave(width: usize, height: usize) -> Vec<u8> {
    let mut state = 12345u32;
    let mut rgb = Vec::new();
    for y in 0..height {
        for x in 0..width {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 28) as u8;
            let thread = if (x / 3 + y / 3) % 2 == 0 { 150 } else { 90 };
            rgb.extend([thread + noise, thread - 20 + noise, thread - 40 + noise]);
        }
    }
    rgb
}

/// Paints a smooth blot of another colour.
fn blot(rgb: &mut [u8], width: usize, from: (usize, usize), to: (usize, usize)) {
    for y in from.1..to.1 {
        for x in from.0..to.0 {
            rgb[3 * (y * width + x)..][..3].copy_from_slice(&[70, 130, 110]);
        }
    }
}

fn argmax(values: &[f32]) -> usize {
    (0..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

#[test]
fn constant_image_is_typical_everywhere() {
    let rgb = vec![137; 64 * 48 * 3];
    let map = self_similarity(&rgb, 64, 48, (64, 48), &SimilarityConfig::default());
    assert_eq!((map.width, map.height), (8, 6));
    for channel in [Channel::Relative, Channel::Factor] {
        assert!(
            map.channel(channel).iter().all(|v| v.abs() < 1e-5),
            "{channel:?}"
        );
    }
    for channel in Channel::ALL {
        let values = map.channel(channel);
        assert!(
            values.iter().all(|v| v.is_finite() && *v == values[0]),
            "{channel:?}"
        );
    }
}

#[test]
fn odd_patch_peaks_in_every_channel() {
    let mut rgb = weave(256, 256);
    let plain = self_similarity(&rgb, 256, 256, (256, 256), &SimilarityConfig::default());
    blot(&mut rgb, 256, (160, 80), (176, 96));
    let map = self_similarity(&rgb, 256, 256, (256, 256), &SimilarityConfig::default());
    assert_eq!((map.width, map.height), (32, 32));
    for channel in Channel::ALL {
        let peak = argmax(map.channel(channel));
        let (x, y) = (peak % 32, peak / 32);
        assert!(
            (19..=22).contains(&x) && (9..=12).contains(&y),
            "{channel:?}: {x}, {y}"
        );
    }
    assert!(map.channel(Channel::Relative)[argmax(map.channel(Channel::Relative))] > 0.5);
    assert!(map.score() > plain.score() + 0.5);
}

#[test]
fn padding_has_no_influence() {
    let (w, h) = (100, 72);
    let mut rgb = weave(128, 128);
    blot(&mut rgb, 128, (40, 24), (56, 40));
    let config = SimilarityConfig::default();
    let one = self_similarity(&rgb, 128, 128, (w, h), &config);
    for y in 0..128 {
        for x in 0..128 {
            if x >= w || y >= h {
                rgb[3 * (y * 128 + x)..][..3].copy_from_slice(&[255, 0, (x * y) as u8]);
            }
        }
    }
    let other = self_similarity(&rgb, 128, 128, (w, h), &config);
    assert_eq!(one, other);
    assert_eq!(one.valid, (13, 9));

    let cropped: Vec<u8> = (0..h)
        .flat_map(|y| rgb[3 * y * 128..][..3 * w].to_vec())
        .collect();
    let alone = self_similarity(&cropped, w, h, (w, h), &config);
    for channel in Channel::ALL {
        for y in 0..9 {
            let padded = &one.channel(channel)[y * 16..y * 16 + 13];
            assert_eq!(padded, &alone.channel(channel)[y * 13..(y + 1) * 13]);
        }
    }
    assert_eq!(one.score(), alone.score());
}

#[test]
fn odd_sizes_stay_finite() {
    for (width, height, valid, cell) in [
        (1, 1, (1, 1), 8),
        (8, 8, (8, 8), 8),
        (9, 17, (9, 17), 8),
        (64, 64, (1, 1), 8),
        (64, 64, (3, 64), 8),
        (64, 64, (0, 5), 8),
        (64, 64, (900, 900), 8),
        (37, 5, (37, 5), 3),
        (6, 6, (6, 6), 0),
        (0, 0, (0, 0), 8),
        (30, 30, (30, 30), 100),
    ] {
        let config = SimilarityConfig {
            cell,
            ..SimilarityConfig::default()
        };
        let map = self_similarity(&weave(width, height), width, height, valid, &config);
        let n = map.width * map.height * SimilarityMap::CHANNELS;
        assert_eq!(map.data.len(), n, "{width}×{height}");
        assert!(map.data.iter().all(|v| v.is_finite()), "{width}×{height}");
        assert!(map.score().is_finite());
    }
}

#[test]
fn short_input_gives_zeros() {
    let map = self_similarity(&[1, 2, 3], 64, 64, (64, 64), &SimilarityConfig::default());
    assert_eq!((map.width, map.height, map.score()), (8, 8, 0.0));
    assert!(map.data.iter().all(|v| *v == 0.0));
}

#[test]
fn diagonalise_recovers_a_hand_made_matrix() {
    // Eigenvalues 1 and 3, axes (1, -1)/√2 and (1, 1)/√2.
    let mut matrix = [2.0, 1.0, 1.0, 2.0];
    let axes = diagonalise(&mut matrix, 2);
    let mut values = [matrix[0], matrix[3]];
    values.sort_unstable_by(f32::total_cmp);
    assert!((values[0] - 1.0).abs() < 1e-5 && (values[1] - 3.0).abs() < 1e-5);
    assert!(axes.iter().all(|v| (v.abs() - 0.5f32.sqrt()).abs() < 1e-5));
}

/// Paints a round bore into a picture of 256 pixels.
fn bore(rgb: &mut [u8], centre: (usize, usize)) {
    for y in 0..256_usize {
        for x in 0..256_usize {
            let square = x.abs_diff(centre.0).pow(2) + y.abs_diff(centre.1).pow(2);
            if square < 81 {
                rgb[3 * (y * 256 + x)..][..3].copy_from_slice(&[25, 25, 30]);
            }
        }
    }
}

/// A weave of another noise, which with a bore is a good part.
fn good_part(shift: usize, centre: (usize, usize)) -> Vec<u8> {
    let mut rgb = weave(256, 256 + shift);
    rgb.drain(..3 * 256 * shift);
    bore(&mut rgb, centre);
    rgb
}

fn bank_of(parts: &[Vec<u8>]) -> ReferenceBank {
    let config = SimilarityConfig::default();
    let references: Vec<Reference> = parts
        .iter()
        .map(|rgb| Reference::new(rgb, 256, 256, (256, 256), &config))
        .collect();
    ReferenceBank::new(&references).unwrap_or_else(|| panic!("there are cells"))
}

/// Mean of a channel over the cells of a box of pixels, and over all cells outside of the boxes.
fn inside_and_out(map: &SimilarityMap, channel: Channel, boxes: &[[usize; 4]]) -> (f32, f32) {
    let mut sums = [(0.0, 0); 2];
    for (i, value) in map.channel(channel).iter().enumerate() {
        let (x, y) = (i % 32 * 8, i / 32 * 8);
        let holds = |b: &[usize; 4]| (b[0]..b[2]).contains(&x) && (b[1]..b[3]).contains(&y);
        let sum = &mut sums[usize::from(!boxes.iter().any(holds))];
        *sum = (sum.0 + value, sum.1 + 1);
    }
    let [inside, outside] = sums.map(|(sum, n)| sum / n as f32);
    (inside, outside)
}

#[test]
fn references_lower_what_they_show_and_raise_what_they_do_not() {
    // The weave repeats every 6 pixels, cells every 8: blots 24 or 48 apart are equal, and find their
    // like among each other; the bore has no like in its picture.
    let blots: Vec<[usize; 4]> = (0..12)
        .map(|i| [24 + i % 4 * 48, 24 + i / 4 * 48])
        .map(|[x, y]| [x, y, x + 16, y + 16])
        .collect();
    let hole = [[112, 224, 128, 240]];
    let mut rgb = good_part(9, (120, 232));
    for b in &blots {
        blot(&mut rgb, 256, (b[0], b[1]), (b[2], b[3]));
    }
    let alone = self_similarity(&rgb, 256, 256, (256, 256), &SimilarityConfig::default());
    let (own_blots, _) = inside_and_out(&alone, Channel::Fused, &blots);
    let (own_hole, _) = inside_and_out(&alone, Channel::Fused, &hole);
    assert!(own_hole > own_blots + 1.0, "{own_hole} {own_blots}");

    let parts: Vec<Vec<u8>> = (1..=12)
        .map(|i| good_part(i, (40 + 13 * i, 60 + 11 * i)))
        .collect();
    for n in [1, 3, 12] {
        let bank = bank_of(&parts[..n]);
        let map = similarity_against(&rgb, 256, 256, (256, 256), &bank);
        let (at_blots, beside) = inside_and_out(&map, Channel::Fused, &blots);
        let (at_hole, _) = inside_and_out(&map, Channel::Fused, &hole);
        assert!(at_blots > own_blots + 1.0, "{n}: {at_blots} {own_blots}");
        assert!(at_hole < own_hole - 3.0, "{n}: {at_hole} {own_hole}");
        assert!(at_blots > at_hole + 1.0, "{n}: {at_blots} {at_hole}");
        assert!(at_blots > beside + 2.0, "{n}: {at_blots} {beside}");

        let plain = good_part(20, (70, 50));
        let map = similarity_against(&plain, 256, 256, (256, 256), &bank);
        let typical = median(map.channel(Channel::Relative));
        // On the scale of the picture's own map, where a usual cell has 0.
        assert!(typical.abs() < 0.5, "{n}: {typical}");
    }
}

#[test]
fn odd_references_stay_finite() {
    let config = SimilarityConfig::default();
    let sizes = [(1, 1), (8, 8), (9, 17), (64, 3), (0, 0), (256, 256)];
    let mut references = Vec::new();
    for (width, height) in sizes {
        let plain = vec![137; 3 * width * height];
        let one = Reference::new(&plain, width, height, (width, height), &config);
        for given in [vec![one.clone()], vec![one.clone(), one.clone()]] {
            let bank = ReferenceBank::new(&given);
            assert_eq!(bank.is_none(), width == 0, "{width}×{height}");
            for (width, height) in sizes {
                let rgb = weave(width, height);
                let size = (width, height);
                let map = bank
                    .iter()
                    .map(|bank| similarity_against(&rgb, width, height, size, bank));
                for map in map {
                    assert!(map.data.iter().all(|v| v.is_finite()), "{width}×{height}");
                }
            }
        }
        references.push(one);
    }
    let coarse = SimilarityConfig { cell: 16, ..config };
    references.push(Reference::new(&weave(64, 64), 64, 64, (64, 64), &coarse));
    assert!(ReferenceBank::new(&references).is_some());
}

#[test]
fn a_bank_is_bounded() {
    let config = SimilarityConfig::default();
    let rgb = good_part(1, (40, 90));
    let reference = Reference::new(&rgb, 256, 256, (256, 256), &config);
    for n in [1, 5, 40] {
        let bank = ReferenceBank::new(&vec![reference.clone(); n]);
        let n_cells = bank.map_or(0, |bank| bank.n_cells());
        assert_eq!(n_cells, n * (4096 / n), "{n}");
    }
}
