//! Writes a contact sheet of 8×6 samples with their masks outlined.
//!
//! `cargo run --release -p vmad-data --example contact_sheet -- OUT.png [WORLD] [MODE] [FIRST] [DIFFICULTY]`
//! where WORLD is `train` or `unseen` (the catalogue's splits) or `workshop`, and MODE is `mixed`,
//! `kinds` (six scenes of each kind), `normal`, `augmented` (each scene, then seven copies) or the
//! name of one kind.

use image::{GenericImage, Rgb, RgbImage};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::time::Instant;
use vmad_data::{Category, DefectKind, Generator, Sample, Scenes, Split, Wanted, Workshop};

const COLUMNS: u32 = 8;
const ROWS: u32 = 6;
const SIZE: u32 = 256;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let out = args.next().unwrap_or_else(|| "contact_sheet.png".into());
    let world = args.next().unwrap_or_else(|| "train".into());
    let mode = args.next().unwrap_or_else(|| "mixed".into());
    let first: u64 = args.next().map_or(Ok(0), |t| t.parse())?;
    let difficulty: f32 = args.next().map_or(Ok(0.5), |t| t.parse())?;
    let draw = drawer(&world, &mode, difficulty)?;
    let count = u64::from(COLUMNS * ROWS);
    let start = Instant::now();
    let samples: Vec<Sample> = (first..first + count).map(draw).collect();
    let secs = start.elapsed().as_secs_f64();
    println!("{:.1} images/s on one core", count as f64 / secs);
    let mut sheet = RgbImage::new(COLUMNS * (SIZE + 2), ROWS * (SIZE + 2));
    for (k, s) in samples.iter().enumerate() {
        let k = k as u32;
        let (cx, cy) = (k % COLUMNS * (SIZE + 2), k / COLUMNS * (SIZE + 2));
        let mut tile = s.image.clone();
        outline(&mut tile, s);
        sheet.copy_from(&tile, cx, cy)?;
        let kinds: Vec<&str> = s.defects.iter().map(|d| d.kind.name()).collect();
        println!(
            "{},{} {}: {}",
            k / COLUMNS,
            k % COLUMNS,
            s.object,
            kinds.join(", ")
        );
        println!("    {}", s.normal_description);
        println!("    {}", s.qa[0].answer);
    }
    sheet.save(out)?;
    Ok(())
}

type Draw = Box<dyn Fn(u64) -> Sample>;

/// How scene `index` of the sheet is made.
fn drawer(world: &str, mode: &str, difficulty: f32) -> Result<Draw, String> {
    let kind_of = move |mode: &str, i: u64| match mode {
        "normal" => Ok(None),
        "kinds" => Ok(Some(DefectKind::ALL[i as usize / 6 % 15])),
        name => DefectKind::ALL
            .into_iter()
            .find(|k| k.name() == name)
            .map(Some)
            .ok_or_else(|| format!("unknown mode {name:?}")),
    };
    let mode = mode.to_owned();
    let mixed = mode == "mixed" || mode == "augmented";
    if !mixed {
        kind_of(&mode, 0)?;
    }
    let plain: Draw = if world == "workshop" {
        let workshop = Workshop::new(7, SIZE).with_difficulty(difficulty);
        let mode = mode.clone();
        Box::new(move |i| match kind_of(&mode, i) {
            Ok(kind) => workshop.sample_of(kind, i),
            Err(_) => workshop.sample(i),
        })
    } else {
        let split = match world {
            "train" => Split::Train,
            "unseen" => Split::Unseen,
            other => return Err(format!("unknown world {other:?}")),
        };
        let generator = Generator::new(7, split, SIZE).with_difficulty(difficulty);
        let mode = mode.clone();
        Box::new(move |i| {
            let list = Category::of(split);
            let category = list[(i as usize * 5 + i as usize / 6) % list.len()];
            match kind_of(&mode, i) {
                Ok(kind) => {
                    let wanted = kind.map_or(Wanted::Normal, Wanted::Defect);
                    generator.sample_of(category, wanted, i)
                }
                Err(_) => generator.sample(i),
            }
        })
    };
    if mode != "augmented" {
        return Ok(plain);
    }
    Ok(Box::new(move |i| {
        let sample = plain(i / u64::from(COLUMNS));
        if i.is_multiple_of(u64::from(COLUMNS)) {
            sample
        } else {
            sample.augmented(&mut ChaCha8Rng::seed_from_u64(i))
        }
    }))
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
