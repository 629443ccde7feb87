//! Writes a contact sheet of 8×6 samples with their masks outlined.
//!
//! `cargo run --release -p vmad-data --example contact_sheet -- OUT.png [train|unseen] [MODE] [FIRST]`
//! where MODE is `mixed`, `kinds` (one column block per kind) or `normal`.

use image::{GenericImage, Rgb, RgbImage};
use std::time::Instant;
use vmad_data::{Category, DefectKind, Generator, Sample, Scenes, Split, Wanted};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let out = args.next().unwrap_or_else(|| "contact_sheet.png".into());
    let split = match args.next().as_deref() {
        Some("unseen") => Split::Unseen,
        _ => Split::Train,
    };
    let mode = args.next().unwrap_or_else(|| "mixed".into());
    let first: u64 = args.next().map_or(Ok(0), |t| t.parse())?;
    let generator = Generator::new(7, split, 256);
    let (columns, rows) = (8u32, 6u32);
    let count = u64::from(columns * rows);
    let list = Category::of(split);
    let start = Instant::now();
    let samples: Vec<Sample> = (0..count)
        .map(|k| {
            let i = first + k;
            let category = list[i as usize % list.len()];
            match mode.as_str() {
                "normal" => generator.sample_of(category, Wanted::Normal, i),
                "kinds" => {
                    let kind = DefectKind::ALL[i as usize / 6 % 15];
                    let category = list[(i as usize * 5 + i as usize / 6) % list.len()];
                    generator.sample_of(category, Wanted::Defect(kind), i)
                }
                _ => generator.sample(i),
            }
        })
        .collect();
    let secs = start.elapsed().as_secs_f64();
    println!("{:.0} images/s", count as f64 / secs);
    let mut sheet = RgbImage::new(columns * 258, rows * 258);
    for (k, s) in samples.iter().enumerate() {
        let k = k as u32;
        let (cx, cy) = (k % columns * 258, k / columns * 258);
        let mut tile = s.image.clone();
        outline(&mut tile, s);
        sheet.copy_from(&tile, cx, cy)?;
        let kind = s.defects.first().map_or("-", |d| d.kind.name());
        println!("{},{} {}: {kind}", k / columns, k % columns, s.category);
        println!("    {}", s.qa[0].answer);
    }
    sheet.save(out)?;
    Ok(())
}

/// Marks the pixels two steps outside of the mask.
fn outline(tile: &mut RgbImage, sample: &Sample) {
    let mask = sample.mask();
    let (w, h) = mask.dimensions();
    let near = |x: u32, y: u32, r: i64| {
        (-r..=r).any(|oy| {
            (-r..=r).any(|ox| {
                let (xx, yy) = (i64::from(x) + ox, i64::from(y) + oy);
                (0..i64::from(w)).contains(&xx)
                    && (0..i64::from(h)).contains(&yy)
                    && mask.get_pixel(xx as u32, yy as u32).0[0] != 0
            })
        })
    };
    for y in 0..h {
        for x in 0..w {
            if near(x, y, 3) && !near(x, y, 2) {
                tile.put_pixel(x, y, Rgb([255, 0, 255]));
            }
        }
    }
}
