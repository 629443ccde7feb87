//! Dividing categories and photographs.

use std::collections::BTreeSet;

use tempfile::TempDir;
use vmad_data::{CategorySplit, DataError, Holdout, Subset};

use crate::common::{read, tree, write};

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

/// Three categories with photographs for training and test.
fn set() -> TempDir {
    let dir = tree(&[]);
    for category in ["bottle", "cable", "capsule"] {
        for i in 0..20 {
            for part in ["train", "test"] {
                write(dir.path(), &format!("{category}/{part}/good/{i}.png"), "");
            }
        }
    }
    dir
}

#[test]
fn a_split_survives_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let holdout = Holdout {
        seed: 9,
        share: 0.25,
    };
    let plain = CategorySplit::new(names(&["a", "b"]), names(&["c"]), names(&["d"]), None).unwrap();
    let held = plain.clone().with_holdout(holdout).unwrap();
    for file in ["splits.toml", "splits.json", "splits.JSON"] {
        for split in [&plain, &held] {
            let path = dir.path().join(file);
            split.write(&path).unwrap();
            assert_eq!(&CategorySplit::read(&path).unwrap(), split, "{file}");
        }
    }
    assert_eq!(held.holdout(), Some(holdout));
}

#[test]
fn files_with_mistakes_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    for (file, text, expected) in [
        (
            "s.toml",
            "train = [\"a\"]\ntest = [\"a\"]",
            "\"a\" is named twice",
        ),
        ("s.toml", "train = [\"a\", \"a\"]", "\"a\" is named twice"),
        ("s.toml", "train = \"a\"", "train"),
        ("s.toml", "trian = [\"a\"]", "trian"),
        ("s.toml", "[holdout]\nseed = 1\nshare = 1.0", "share is 1"),
        ("s.toml", "[holdout]\nseed = 1\nshare = nan", "share is NaN"),
        ("s.toml", "[holdout]\nseed = -1\nshare = 0.5", "seed"),
        ("s.toml", "[holdout]\nshare = 0.5", "seed"),
        ("s.json", "train = []", "expected"),
        ("s.json", "{\"train\": [3]}", "invalid type"),
    ] {
        let path = dir.path().join(file);
        std::fs::write(&path, text).unwrap();
        let error = CategorySplit::read(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} / {expected}");
        assert!(error.contains(file), "{error}");
    }
    let gone = CategorySplit::read(&dir.path().join("gone.toml"));
    assert!(matches!(gone, Err(DataError::Io { .. })));
}

#[test]
fn categories_are_selected_by_part() {
    let dir = set();
    let set = read(&dir);
    let split = CategorySplit::new(names(&["cable"]), vec![], names(&["bottle"]), None).unwrap();
    let count = |split: &CategorySplit, part| split.select(&set, part).unwrap().len();
    assert_eq!(count(&split, Subset::Train), 40);
    assert_eq!(count(&split, Subset::Val), 0);
    // What the layout has for training is never test.
    assert_eq!(count(&split, Subset::Test), 20);
    let test = split.select(&set, Subset::Test).unwrap();
    assert!(
        test.iter()
            .all(|r| r.category == "bottle" && r.part == Some(Subset::Test))
    );
    assert_eq!(split.categories(Subset::Train), ["cable"]);

    let typo = CategorySplit::new(vec![], names(&["botle"]), vec![], None).unwrap();
    // Whichever part is asked for.
    let error = typo.select(&set, Subset::Test).unwrap_err();
    assert!(matches!(&error, DataError::NoSuchCategory { nearest, .. } if nearest == "bottle"));
    assert!(error.to_string().contains("botle"), "{error}");
}

#[test]
fn a_holdout_is_fixed_by_its_seed() {
    let dir = set();
    let set = read(&dir);
    let ids = |seed, share, part| -> BTreeSet<u64> {
        CategorySplit::new(
            names(&["bottle", "cable"]),
            vec![],
            names(&["capsule"]),
            None,
        )
        .unwrap()
        .with_holdout(Holdout { seed, share })
        .unwrap()
        .select(&set, part)
        .unwrap()
        .iter()
        .map(|record| record.id)
        .collect()
    };
    let (train, val) = (ids(1, 0.25, Subset::Train), ids(1, 0.25, Subset::Val));
    assert_eq!(train.len() + val.len(), 80);
    assert!(train.is_disjoint(&val));
    assert!((10..=30).contains(&val.len()), "{} of 80", val.len());
    assert_eq!(ids(1, 0.25, Subset::Val), val);
    assert_ne!(ids(2, 0.25, Subset::Val), val);
    // A larger share keeps what a smaller one kept.
    assert!(val.is_subset(&ids(1, 0.5, Subset::Val)));
    assert_eq!(ids(1, 0.25, Subset::Test).len(), 20);

    // Photographs that are added change nothing for the others.
    let paths = |part| -> BTreeSet<_> {
        let set = read(&dir);
        let split = CategorySplit::new(names(&["bottle", "cable"]), vec![], vec![], None).unwrap();
        let split = split
            .with_holdout(Holdout {
                seed: 1,
                share: 0.25,
            })
            .unwrap();
        let chosen = split.select(&set, part).unwrap();
        chosen.iter().map(|record| record.path.clone()).collect()
    };
    let before = paths(Subset::Val);
    for i in 20..30 {
        write(dir.path(), &format!("bottle/train/good/{i}.png"), "");
    }
    assert!(before.is_subset(&paths(Subset::Val)));
}

#[test]
fn categories_are_drawn_by_seed() {
    let all: Vec<String> = (0..24).map(|i| format!("c{i:02}")).collect();
    let draw = |seed| CategorySplit::draw(all.iter().map(String::as_str), 16, 8, seed).unwrap();
    let split = draw(3);
    let (train, test) = (
        split.categories(Subset::Train),
        split.categories(Subset::Test),
    );
    assert_eq!((train.len(), test.len()), (16, 8));
    let together: BTreeSet<_> = train.iter().chain(test).collect();
    assert_eq!(together.len(), 24);
    assert!(train.is_sorted() && test.is_sorted());
    assert_eq!(draw(3), split);
    assert_ne!(draw(4), split);
    // The order of the names, and names that are there twice, have no influence.
    let turned = all.iter().rev().chain(&all).map(String::as_str);
    assert_eq!(CategorySplit::draw(turned, 16, 8, 3).unwrap(), split);
    for (n_train, n_test) in [(16, 9), (25, 0), (usize::MAX, 1)] {
        let error = CategorySplit::draw(all.iter().map(String::as_str), n_train, n_test, 0);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("24 are there"), "{error}");
    }
    // Fixed for ever, so that a run can be repeated with another version. The names are those of a
    // second implementation of the draw, in Python.
    assert_eq!(
        test,
        ["c01", "c05", "c09", "c11", "c14", "c15", "c20", "c21"]
    );
}
