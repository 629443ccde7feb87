//! Properties of the workshop's scenes and of augmented samples.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use vmad_data::{DefectKind, MAX_AREA, MIN_AREA, QaKind, Sample, Scenes, Workshop};

/// FNV-1a over everything that a sample says.
fn hash(sample: &Sample) -> u64 {
    let mut bytes = sample.image.as_raw().clone();
    bytes.extend(sample.mask().as_raw());
    bytes.extend(sample.object.bytes());
    bytes.extend(sample.normal_description.bytes());
    for q in &sample.qa {
        bytes.extend(q.answer.bytes());
    }
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| {
        (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[test]
fn same_settings_give_the_same_bytes() {
    for size in [32, 97, 131, 256] {
        let hashes = |index| hash(&Workshop::new(3, size).sample(index));
        let first: Vec<u64> = (0..5).map(hashes).collect();
        let second: Vec<u64> = (0..5).rev().map(hashes).collect();
        assert!(first.iter().eq(second.iter().rev()), "size {size}");
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 5);
        assert_ne!(first[0], hash(&Workshop::new(4, size).sample(0)));
        let hard = Workshop::new(3, size).with_difficulty(0.9);
        assert_ne!(first[0], hash(&hard.sample(0)));
    }
}

#[test]
fn about_half_is_normal_and_everything_occurs() {
    let workshop = Workshop::new(11, 96);
    let (mut normal, mut mixed, mut defective) = (0, 0, 0);
    let mut kinds = BTreeMap::new();
    let mut objects = BTreeSet::new();
    for index in 0..1200 {
        let s = workshop.sample(index);
        assert_eq!(s.image.dimensions(), (96, 96));
        assert_eq!(s.category, "workshop");
        objects.insert(s.object);
        let own: BTreeSet<DefectKind> = s.defects.iter().map(|d| d.kind).collect();
        normal += u32::from(own.is_empty());
        defective += u32::from(!own.is_empty());
        mixed += u32::from(own.len() == 2);
        assert!(s.defects.len() <= 2);
        for kind in own {
            *kinds.entry(kind).or_insert(0) += 1;
        }
    }
    assert!((540..=700).contains(&normal), "{normal} of 1200 normal");
    assert_eq!(kinds.len(), 15);
    let (rare, often) = (kinds.values().min().unwrap(), kinds.values().max().unwrap());
    assert!(often <= &(4 * rare), "{kinds:?}");
    let share = f64::from(mixed) / f64::from(defective);
    assert!((0.04..0.14).contains(&share), "{share} of two kinds");
    assert!(objects.len() > 80, "{} names", objects.len());
}

#[test]
fn masks_are_neither_empty_nor_faint() {
    for (difficulty, least) in [(0.0, 0.18), (0.5, 0.12), (1.0, 0.09)] {
        for size in [97u32, 256] {
            let workshop = Workshop::new(21, size).with_difficulty(difficulty);
            let mut seen = 0;
            for index in 0..60 {
                let s = workshop.sample(index);
                let mut union = 0;
                for d in &s.defects {
                    seen += 1;
                    assert!(d.mask.iter().all(|m| *m == 0 || *m == 255));
                    let count = d.mask.iter().filter(|m| **m == 255).count();
                    union += count;
                    let area = count as f32 / (size * size) as f32;
                    assert!((MIN_AREA..=MAX_AREA).contains(&area), "area {area}");
                    assert!(d.contrast >= least, "{} {}", d.kind.name(), d.contrast);
                }
                let covered = s.mask().iter().filter(|m| **m == 255).count();
                assert_eq!(union, covered, "defects do not overlap");
            }
            assert!(seen > 15);
        }
    }
}

/// Checks that the answers name the sample's kinds in their order, and nothing else.
fn check_answers(s: &Sample) {
    let mut expected: Vec<DefectKind> = s.defects.iter().map(|d| d.kind).collect();
    expected.dedup();
    assert!(
        s.defects
            .is_sorted_by_key(|d| std::cmp::Reverse(d.severity))
    );
    assert_eq!(s.qa.len(), 3);
    for (q, kind) in s.qa.iter().zip(QaKind::ALL) {
        assert_eq!((q.kind, q.question.as_str()), (kind, kind.query()));
        let limit = if expected.len() > 1 { 50 } else { 40 };
        assert!(q.answer.split_whitespace().count() <= limit, "{}", q.answer);
        let mut named: Vec<DefectKind> = q
            .answer
            .split_whitespace()
            .filter_map(DefectKind::find_in)
            .collect();
        named.dedup();
        assert_eq!(
            named.iter().collect::<BTreeSet<_>>(),
            expected.iter().collect(),
            "{}",
            q.answer
        );
        assert_eq!(
            DefectKind::find_in(&q.answer),
            expected.first().copied(),
            "{}",
            q.answer
        );
    }
    let description = &s.qa[0].answer;
    for d in &s.defects {
        assert!(
            description.contains(&format!("the {}", d.location.name())),
            "{description}"
        );
    }
    if let [only] = s.defects.as_slice() {
        assert!(description.contains(only.size.name()), "{description}");
    }
}

#[test]
fn answers_name_every_kind_and_place_in_few_words() {
    let workshop = Workshop::new(31, 64);
    let mut vocabulary = BTreeSet::new();
    for index in 0..900 {
        let s = workshop.sample(index);
        check_answers(&s);
        let answers = s.qa.iter().map(|q| q.answer.as_str());
        for text in answers.chain([s.normal_description.as_str()]) {
            let words = text.split(|c: char| !c.is_alphanumeric());
            vocabulary.extend(words.map(str::to_lowercase));
        }
    }
    println!("vocabulary: {} words", vocabulary.len());
    assert!(vocabulary.len() < 620, "{} words", vocabulary.len());
}

#[test]
fn nothing_is_named_like_a_product_kept_for_evaluation() {
    const KEPT: [&str; 8] = [
        "rubber mat",
        "cardboard",
        "wire mesh",
        "bearing",
        "coin",
        "perforated plate",
        "tablet",
        "bracket",
    ];
    let workshop = Workshop::new(41, 32);
    for index in 0..1500 {
        let s = workshop.sample(index);
        for name in KEPT {
            assert!(!s.object.contains(name), "{}", s.object);
        }
    }
}

#[test]
fn every_kind_can_be_asked_for() {
    let workshop = Workshop::new(5, 128);
    for kind in DefectKind::ALL {
        let hits = (0..12)
            .filter(|i| {
                let s = workshop.sample_of(Some(kind), *i);
                s.defects.first().is_some_and(|d| d.kind == kind)
            })
            .count();
        assert!(hits >= 6, "{} in {hits} of 12 scenes", kind.name());
    }
    assert!(workshop.sample_of(None, 0).defects.is_empty());
}

#[test]
fn augmented_samples_stay_true() {
    let workshop = Workshop::new(51, 97);
    let mut turns = BTreeSet::new();
    for index in 0..160 {
        let s = workshop.sample(index);
        let turned = s.augmented(&mut ChaCha8Rng::seed_from_u64(index));
        let again = s.augmented(&mut ChaCha8Rng::seed_from_u64(index));
        assert_eq!(hash(&turned), hash(&again));
        check_answers(&turned);
        assert_eq!(turned.defects.len(), s.defects.len());
        for (a, b) in s.defects.iter().zip(&turned.defects) {
            assert_eq!((a.kind, a.size, a.severity), (b.kind, b.size, b.severity));
            turns.insert(check_turn(&a.mask, &b.mask));
            let (mut sx, mut sy, mut n) = (0.0, 0.0, 0.0);
            for (x, y, _) in b.mask.enumerate_pixels().filter(|(_, _, p)| p.0[0] > 0) {
                (sx, sy, n) = (sx + f64::from(x) + 0.5, sy + f64::from(y) + 0.5, n + 97.0);
            }
            let cell = |t: f64| ((t * 3.0) as usize).min(2);
            let place = vmad_data::Location::ALL[cell(sy / n) * 3 + cell(sx / n)];
            assert_eq!(place, b.location);
        }
    }
    assert_eq!(turns, (0..8).collect(), "all turns occur");
}

/// Which of the eight turns leads from one mask to the other.
fn check_turn(from: &image::GrayImage, to: &image::GrayImage) -> u8 {
    let side = from.width() - 1;
    (0..8)
        .find(|turn| {
            to.enumerate_pixels().all(|(x, y, p)| {
                let x = if turn & 2 > 0 { side - x } else { x };
                let y = if turn & 4 > 0 { side - y } else { y };
                let (x, y) = if turn & 1 > 0 { (y, x) } else { (x, y) };
                from.get_pixel(x, y) == p
            })
        })
        .unwrap()
}

#[test]
fn a_defect_is_where_the_augmented_picture_differs() {
    // The picture is the mask itself, so both must turn alike.
    let s = Workshop::new(61, 128).sample_of(Some(DefectKind::Hole), 1);
    let mut marked = s.clone();
    for (p, m) in marked.image.pixels_mut().zip(s.mask().iter()) {
        p.0 = [*m; 3];
    }
    for seed in 0..24 {
        let turned = marked.augmented(&mut ChaCha8Rng::seed_from_u64(seed));
        let mask = turned.mask();
        let agree = turned
            .image
            .pixels()
            .zip(mask.iter())
            .filter(|(p, m)| (p.0[1] > 100) == (**m > 0))
            .count();
        // The blur moves no more than the border.
        assert!(agree > 128 * 128 - 60, "seed {seed}: {agree}");
    }
}
