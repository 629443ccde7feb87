//! Upscaling and scoring of masks against PyTorch and SciPy.

mod common;

use common::{Failure, Fixture, assert_close, sam_frame};
use vmad_prep::{ScoreMode, image_score, upscale_logits};

/// Logits reach ±20; PyTorch may multiply and add in another order: some 2⁻²² relative.
const LOGITS: f32 = 1e-5;
/// 66 f32 products are summed for each smoothed value of at most 1.
const SCORE: f32 = 2e-6;

#[test]
fn upscaled_logits_match_pytorch() -> Result<(), Failure> {
    let fixture = Fixture::open("upscale")?;
    for case in 0..7 {
        let (_, logits) = fixture.floats(&format!("{case}.logits"))?;
        let sizes = fixture.ints(&format!("{case}.sizes"))?;
        let [side, size, width, height, resized_width, resized_height] = sizes[..] else {
            return Err(format!("{case}.sizes: {sizes:?}").into());
        };
        let frame = sam_frame((width, height), size);
        assert_eq!(
            frame.sam_resized(),
            (resized_width, resized_height),
            "{case}"
        );
        let (_, expected) = fixture.floats(&format!("{case}.out"))?;
        let actual = upscale_logits(&logits, side, &frame)?;
        assert_close(&format!("{case}.out"), &actual, &expected, LOGITS);
    }
    Ok(())
}

/// Golden test 7: logits that hold their own place come back as the photograph's coordinates.
#[test]
fn sizes_survive_the_round_trip() -> Result<(), Failure> {
    const SIDE: u32 = 256;
    for (width, height) in [
        (900, 1200),
        (1200, 900),
        (1024, 1023),
        (1023, 1024),
        (77, 1001),
        (3, 2000),
    ] {
        let frame = sam_frame((width, height), 1024);
        for vertical in [false, true] {
            // Place of each cell's centre in pixels of SAM's input.
            let logits: Vec<f32> = (0..SIDE * SIDE)
                .map(|cell| if vertical { cell / SIDE } else { cell % SIDE })
                .map(|cell| (cell as f32 + 0.5) * 1024.0 / SIDE as f32)
                .collect();
            let map = upscale_logits(&logits, SIDE, &frame)?;
            let (length, resized) = if vertical {
                (height, frame.sam_resized().1)
            } else {
                (width, frame.sam_resized().0)
            };
            let photo_from_sam = length as f32 / resized as f32;
            for (index, &place) in map.iter().enumerate() {
                let at = if vertical {
                    index as u32 / width
                } else {
                    index as u32 % width
                };
                // Half a cell at the edges, where interpolation has no neighbour; one SAM pixel
                // more where the picture is cut off.
                let off = (place * photo_from_sam - (at as f32 + 0.5)).abs();
                let allowed = 2.5 * photo_from_sam + 1e-3 * length as f32 / 100.0;
                assert!(
                    off <= allowed,
                    "{width}×{height}, vertical {vertical}, pixel {at}: off by {off}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn image_score_matches_scipy() -> Result<(), Failure> {
    let fixture = Fixture::open("score")?;
    for case in 0..4 {
        let (shape, map) = fixture.floats(&format!("{case}.map"))?;
        let (height, width) = (shape[0] as u32, shape[1] as u32);
        let (_, expected) = fixture.floats(&format!("{case}.scores"))?;
        let max = image_score(&map, width, height, ScoreMode::Max)?;
        let top = image_score(&map, width, height, ScoreMode::TopK(0.001))?;
        assert_close(&format!("{case}.scores"), &[max, top], &expected, SCORE);
    }
    Ok(())
}

#[test]
#[ignore = "prints times; run with --release -- --ignored --nocapture"]
fn times() -> Result<(), Failure> {
    let frame = sam_frame((4000, 3000), 256);
    let logits: Vec<f32> = (0..64 * 64).map(|i| (i % 17) as f32 - 8.0).collect();
    let start = std::time::Instant::now();
    let logits = upscale_logits(&logits, 64, &frame)?;
    println!("upscale to 12 MP: {:?}", start.elapsed());
    let start = std::time::Instant::now();
    let map = vmad_prep::anomaly_map(&logits, 1.0);
    println!("sigmoid of 12 MP: {:?}", start.elapsed());
    let start = std::time::Instant::now();
    image_score(&map, 4000, 3000, ScoreMode::Max)?;
    println!("score: {:?}", start.elapsed());
    let start = std::time::Instant::now();
    vmad_prep::regions(&map, 4000, 3000, 0.5)?;
    println!("regions: {:?}", start.elapsed());
    Ok(())
}
