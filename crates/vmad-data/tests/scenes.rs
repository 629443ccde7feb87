//! Properties of the generated scenes and of the data sets on disk.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use vmad_data::{
    ANNOTATIONS, Category, DataError, DefectKind, Generator, Layout, MAX_AREA, MIN_AREA, QaKind,
    SIDECAR, Sample, Scenes, Split, Wanted, detect, read_dataset, write_dataset,
};

/// FNV-1a over everything that a sample says.
fn hash(sample: &Sample) -> u64 {
    let mut bytes = sample.image.as_raw().clone();
    bytes.extend(sample.mask().as_raw());
    for q in &sample.qa {
        bytes.extend(q.answer.bytes());
    }
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| {
        (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[test]
fn same_settings_give_the_same_bytes() {
    for size in [64, 97, 256] {
        let hashes = |index| hash(&Generator::new(3, Split::Train, size).sample(index));
        let first: Vec<u64> = (0..4).map(hashes).collect();
        let second: Vec<u64> = (0..4).rev().map(hashes).collect();
        assert!(first.iter().eq(second.iter().rev()), "size {size}");
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 4);
        let other = hash(&Generator::new(4, Split::Train, size).sample(0));
        assert_ne!(first[0], other);
    }
}

/// Published figures were measured on these scenes: no change may alter a byte of them.
#[test]
fn the_catalogue_stays_as_it_is() {
    let cases = [
        (Split::Train, 64, 0x4979_e307_47b8_488c),
        (Split::Train, 97, 0xa158_77da_3048_dadb),
        (Split::Unseen, 128, 0xd7b4_0bba_2620_3d1b),
        (Split::Unseen, 256, 0x9703_5f2f_d5d7_45d2),
    ];
    let found = cases.map(|(split, size, _)| {
        let mut all = 0xcbf2_9ce4_8422_2325_u64;
        for difficulty in [0.0, 0.5, 1.0] {
            let generator = Generator::new(3, split, size).with_difficulty(difficulty);
            for index in 0..20 {
                all = (all ^ hash(&generator.sample(index))).wrapping_mul(0x0100_0000_01b3);
            }
        }
        (split, size, all)
    });
    assert!(found == cases, "{found:#x?}");
}

#[test]
fn about_half_of_the_samples_are_normal_and_everything_occurs() {
    let mut kinds = BTreeSet::new();
    let mut categories = BTreeSet::new();
    for split in [Split::Train, Split::Unseen] {
        let generator = Generator::new(11, split, 128);
        let mut normal = 0;
        for i in 0..300 {
            let s = generator.sample(i);
            let category = Category::parse(&s.category).unwrap();
            assert_eq!(category.split(), split);
            categories.insert(category);
            normal += usize::from(s.defects.is_empty());
            kinds.extend(s.defects.iter().map(|d| d.kind));
        }
        assert!((115..=185).contains(&normal), "{normal} of 300 normal");
    }
    assert_eq!(kinds.len(), 15);
    assert_eq!(categories.len(), 24);
}

#[test]
fn every_kind_shows_on_every_category() {
    for category in Category::ALL {
        let generator = Generator::new(5, category.split(), 128);
        for kind in DefectKind::ALL {
            // Now and then a kind finds no room; it must do so in one of a few tries.
            let hit = (0..6).any(|i| {
                let s = generator.sample_of(category, Wanted::Defect(kind), i);
                s.defects.first().is_some_and(|d| d.kind == kind)
            });
            assert!(hit, "{} on {}", kind.name(), category.name());
        }
    }
}

#[test]
fn masks_are_neither_empty_nor_faint() {
    for (difficulty, least) in [(0.0, 0.25), (0.5, 0.12), (1.0, 0.09)] {
        for size in [128u32, 256] {
            let generator = Generator::new(21, Split::Train, size).with_difficulty(difficulty);
            let mut seen = 0;
            for i in 0..60 {
                let s = generator.sample(i);
                for d in &s.defects {
                    seen += 1;
                    let count = d.mask.iter().filter(|m| **m == 255).count();
                    assert!(d.mask.iter().all(|m| *m == 0 || *m == 255));
                    let area = count as f32 / (size * size) as f32;
                    assert!((MIN_AREA..=MAX_AREA).contains(&area), "area {area}");
                    assert!(d.contrast >= least, "{} {}", d.kind.name(), d.contrast);
                }
                let kinds: BTreeSet<_> = s.defects.iter().map(|d| d.kind).collect();
                assert!(kinds.len() <= 1, "one kind is right per image");
            }
            assert!(seen > 10);
        }
    }
}

#[test]
fn answers_name_the_kind_in_few_words() {
    let mut vocabulary = BTreeSet::new();
    for split in [Split::Train, Split::Unseen] {
        let generator = Generator::new(31, split, 64);
        for &category in Category::of(split) {
            words(&mut vocabulary, category.normal_description());
            for (k, kind) in DefectKind::ALL
                .into_iter()
                .map(Some)
                .chain([None])
                .enumerate()
            {
                let wanted = kind.map_or(Wanted::Normal, Wanted::Defect);
                let s = generator.sample_of(category, wanted, k as u64);
                let kind = s.defects.first().map(|d| d.kind);
                assert_eq!(s.qa.len(), 3);
                for (q, expected) in s.qa.iter().zip(QaKind::ALL) {
                    assert_eq!(q.kind, expected);
                    assert_eq!(q.question, expected.query());
                    assert!(q.answer.split_whitespace().count() <= 36, "{}", q.answer);
                    let named: BTreeSet<_> = q
                        .answer
                        .split_whitespace()
                        .filter_map(DefectKind::find_in)
                        .collect();
                    // Impacts of two defects name them too, but none may name a second kind.
                    assert!(named.iter().all(|n| Some(*n) == kind), "{}", q.answer);
                    assert_eq!(DefectKind::find_in(&q.answer), kind, "{}", q.answer);
                    words(&mut vocabulary, &q.answer);
                }
                let first = s.qa[0].answer.split('.').next().unwrap();
                assert_eq!(DefectKind::find_in(first), kind);
            }
        }
    }
    println!("vocabulary: {} words", vocabulary.len());
    assert!(vocabulary.len() < 600, "{} words", vocabulary.len());
}

fn words(vocabulary: &mut BTreeSet<String>, text: &str) {
    for w in text.split(|c: char| !c.is_alphanumeric()) {
        vocabulary.insert(w.to_lowercase());
    }
}

#[test]
fn find_in_reads_whole_words() {
    let check = |text: &str, kind| assert_eq!(DefectKind::find_in(text), kind, "{text}");
    check("Two small scratches.", Some(DefectKind::Scratch));
    check("A BURR, then a burn", Some(DefectKind::Burr));
    check("stainless whole crust execute chipset", None);
    check("", None);
    for a in DefectKind::ALL {
        check(a.name(), Some(a));
        for b in DefectKind::ALL {
            assert!(a == b || !a.name().contains(b.name()));
        }
    }
}

fn write(dir: &Path, count: u64, threads: usize) {
    let generator = Generator::new(2, Split::Unseen, 96);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    let mut last = 0;
    pool.install(|| {
        write_dataset(dir, &generator, count, &mut |done, total| {
            assert!(done > last && total == count);
            last = done;
            ControlFlow::Continue(())
        })
    })
    .unwrap();
    assert_eq!(last, count);
}

#[test]
fn a_data_set_survives_the_disk() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let count = 21;
    write(a.path(), count, 1);
    write(b.path(), count, 3);
    for name in [
        ANNOTATIONS,
        SIDECAR,
        "images/000000.png",
        "images/000020.png",
    ] {
        let read = |d: &Path| std::fs::read(d.join(name)).unwrap();
        assert!(
            read(a.path()) == read(b.path()),
            "{name} depends on threads"
        );
    }
    let generator = Generator::new(2, Split::Unseen, 96);
    assert_eq!(detect(a.path()).unwrap(), Layout::Coco);
    let set = read_dataset(a.path(), None).unwrap();
    assert_eq!(set.records.len() as u64, count);
    for record in &set.records {
        let s = generator.sample(record.id);
        assert_eq!(record.mask().unwrap(), s.mask());
        assert_eq!(record.qa, s.qa);
        assert_eq!(record.object, s.object);
        assert_eq!(record.category, s.category);
        assert_eq!(record.normal_description, s.normal_description);
        let mut kinds: Vec<_> = s.defects.iter().map(|d| d.kind).collect();
        kinds.dedup();
        assert_eq!(record.kinds, kinds);
        assert_eq!(record.is_defective, !kinds.is_empty());
        assert_eq!(record.size, Some((96, 96)));
        let photo = record.load().unwrap();
        assert_eq!(photo.image, s.image);
        assert_eq!(photo.mask.unwrap(), s.mask());
    }
}

#[test]
fn a_stopped_run_leaves_no_annotations() {
    let dir = tempfile::tempdir().unwrap();
    let generator = Generator::new(2, Split::Train, 64);
    let stopped = write_dataset(dir.path(), &generator, 500, &mut |_, _| {
        ControlFlow::Break(())
    });
    assert!(matches!(
        stopped,
        Err(DataError::Stopped { total: 500, .. })
    ));
    assert!(!dir.path().join(ANNOTATIONS).exists());
    assert!(matches!(
        read_dataset(dir.path(), Some(Layout::Coco)),
        Err(DataError::Io { .. })
    ));
}
