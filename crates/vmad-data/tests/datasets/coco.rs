//! COCO annotations with and without sidecar.

use tempfile::TempDir;
use vmad_data::{
    ANNOTATIONS, DataError, Dataset, DefectKind, Layout, QaKind, SIDECAR, Shape, Truth, detect,
    read_dataset,
};

use crate::common::{area, check_lines, read, tree, write};

/// Two photographs, 7 by 5, and a third one of another product.
const IMAGES: &str = r#""images":[
    {"id":40,"file_name":"bolts\\a.png","width":7,"height":5,"license":1},
    {"id":7,"file_name":"bolts/b.png","width":7,"height":5},
    {"id":8,"file_name":"c.png","width":7,"height":5}]"#;
const FILES: &[(&str, &str)] = &[
    ("bolts/a.png", ""),
    ("bolts/b.png", ""),
    ("images/c.png", ""),
];

fn set(rest: &str) -> TempDir {
    let dir = tree(FILES);
    write(dir.path(), ANNOTATIONS, &format!("{{{IMAGES},{rest}}}"));
    dir
}

#[test]
fn every_form_of_mask() {
    let dir = set(r#""info":{"year":2024},
        "categories":[{"id":0,"name":"scratches","supercategory":"defect"},{"id":3,"name":"loose thread"},{"id":9,"name":"color"}],
        "annotations":[
            {"id":1,"image_id":40,"category_id":0,"bbox":[1.5,1.0,2.25,0.5],"area":4.0,"iscrowd":0,
             "segmentation":[[1,1,5,1,5,3,1,3],[4,2,6,2,6,4,4,4]]},
            {"id":2,"image_id":40,"category_id":3,"segmentation":{"size":[5,7],"counts":[0,2,33]}},
            {"id":3,"image_id":40,"category_id":0,"segmentation":{"size":[5,7],"counts":"R11"}},
            {"id":4,"image_id":8,"category_id":9,"iscrowd":1,"segmentation":{"size":[5,7],"counts":"0S1"}}]"#);
    assert_eq!(detect(dir.path()).unwrap(), Layout::Coco);
    let set = read(&dir);
    let own = dir.path().file_name().unwrap().to_str().unwrap();
    let words = own.replace('_', " ");
    check_lines(
        &set,
        &[
            r#"40 bolts/a.png [bolts/bolts] - bad ["scratches", "loose thread"] ["scratch"]"#,
            r#"7 bolts/b.png [bolts/bolts] - good [] []"#,
            &format!(
                r#"8 images/c.png [{own}/{}] - bad ["color"] ["discolouration"]"#,
                words.trim()
            ),
        ],
    );
    // 8 pixels and 4 more of which 1 is shared; 2 down the first column; the last one. All of them.
    assert_eq!(
        set.records.iter().map(area).collect::<Vec<_>>(),
        [14, 0, 35]
    );
    let Truth::Regions(regions) = &set.records[0].truth else {
        unreachable!("it has annotations");
    };
    let kinds: Vec<_> = regions.iter().map(|region| region.kind).collect();
    let scratch = Some(DefectKind::Scratch);
    assert_eq!(kinds, [scratch, None, scratch]);
    assert!(matches!(regions[0].shape, Shape::Polygons(_)));
    assert_eq!(set.records[0].size, Some((7, 5)));
}

#[test]
fn the_sidecar_has_the_words() {
    let dir = set(
        r#""annotations":[{"id":1,"image_id":7,"category_id":4,"segmentation":{"size":[5,7],"counts":[0,1,34]}}]"#,
    );
    write(
        dir.path(),
        SIDECAR,
        r#"[{"image_id":7,"object":"hex bolt","normal_description":"Shiny.","qa":[{"type":"impact","question":"Q?","answer":"A."}]},
            {"image_id":8,"object":"","category":"u_block"},{"image_id":40,"object":"Bolt","category":"bolts"},{"image_id":99,"object":"x"}]"#,
    );
    let set = read(&dir);
    check_lines(
        &set,
        &[
            r#"40 bolts/a.png [bolts/Bolt] - good [] []"#,
            r#"7 bolts/b.png [hex_bolt/hex bolt] - bad ["dent"] ["dent"]"#,
            r#"8 images/c.png [u_block/u block] - good [] []"#,
        ],
    );
    let record = &set.records[1];
    assert_eq!(record.normal_description, "Shiny.");
    let qa = &record.qa[0];
    assert_eq!(
        (qa.kind, qa.question.as_str(), qa.answer.as_str()),
        (QaKind::Impact, "Q?", "A.")
    );
}

/// Annotations for one picture of 3 by 2.
fn small(images: &str, rest: &str) -> (TempDir, Result<Dataset, DataError>) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), ANNOTATIONS, &format!("{{{images},{rest}}}"));
    let set = read_dataset(dir.path(), None);
    (dir, set)
}

fn image(file: &str) -> String {
    format!(r#""images":[{{"id":1,"file_name":{file:?},"width":3,"height":2}}]"#)
}

fn mark(shape: &str, category: u32, image: u32) -> String {
    format!(
        r#""annotations":[{{"id":5,"image_id":{image},"category_id":{category},"segmentation":{shape}}}]"#
    )
}

const GOOD: &str = r#"{"counts":[1,2,3],"size":[2,3]}"#;

#[test]
fn hostile_annotations_are_errors() {
    let shape = |shape: &str| (image("a.png"), mark(shape, 0, 1));
    let runs = |counts: &str| shape(&format!(r#"{{"counts":{counts},"size":[2,3]}}"#));
    let twice = r#""images":[{"id":1,"file_name":"a.png","width":3,"height":2},{"id":1,"file_name":"b.png","width":3,"height":2}]"#;
    let named = |list: &str| {
        let rest = format!(r#""categories":{list},{}"#, mark(GOOD, 7, 1));
        (image("a.png"), rest)
    };
    for ((images, rest), expected) in [
        ((image("../a.png"), mark(GOOD, 0, 1)), "leaves the folder"),
        ((image("..\\a.png"), mark(GOOD, 0, 1)), "leaves the folder"),
        ((image("/etc/a.png"), mark(GOOD, 0, 1)), "leaves the folder"),
        ((image("c:\\a.png"), mark(GOOD, 0, 1)), "leaves the folder"),
        ((image(""), mark(GOOD, 0, 1)), "leaves the folder"),
        (
            (twice.to_owned(), mark(GOOD, 0, 1)),
            "image id 1 occurs twice",
        ),
        (runs("[9]"), "annotation 5: runs add up to 9"),
        (runs("[4294967295,4294967295]"), "add up"),
        (runs("[4294967296]"), "counts are whole numbers"),
        (runs("[-4]"), "counts are whole numbers"),
        (runs("[1.5,4.5]"), "counts are whole numbers"),
        (runs("{}"), "counts are whole numbers"),
        (runs("\"a b\""), "foreign character"),
        (runs("\"9\""), "add up to 9"),
        (shape(r#"{"counts":[4],"size":[2,2]}"#), "mask is [2, 2]"),
        (shape(r#"{"counts":[0],"size":[0,4294967295]}"#), "mask is"),
        (shape(r#"{"counts":[4]}"#), "a segmentation is"),
        (shape("7"), "a segmentation is"),
        (shape("null"), "a box alone"),
        (shape("[]"), "a box alone"),
        (shape("[[]]"), "0 numbers"),
        (shape("[[0,0,1,1]]"), "4 numbers"),
        (shape("[[0,0,1e300,1,1,1]]"), "corner at 1"),
        (shape("[[0,0,1e999,1,1,1]]"), "not the expected JSON"),
        ((image("a.png"), mark(GOOD, 15, 1)), "category 15"),
        ((image("a.png"), mark(GOOD, 0, 2)), "no image 2"),
        (
            named(r#"[{"id":1,"name":"dent"}]"#),
            "category 7 is not among",
        ),
        (
            named(r#"[{"id":7,"name":"dent"},{"id":7,"name":"cut"}]"#),
            "category id 7 occurs twice",
        ),
        (
            (image("a.png"), "\"annotations\":7".into()),
            "not the expected JSON",
        ),
        (
            (image("a.png"), "\"annotations\":[".into()),
            "not the expected JSON",
        ),
        (
            ("\"images\":{}".into(), mark(GOOD, 0, 1)),
            "not the expected JSON",
        ),
    ] {
        let error = small(&images, &rest).1.unwrap_err().to_string();
        assert!(error.contains(expected), "{error} / {expected}");
        assert!(error.contains(ANNOTATIONS), "{error}");
    }
    let deep = format!("\"annotations\":{}", "[".repeat(100_000));
    let error = small(&image("a.png"), &deep).1.unwrap_err().to_string();
    assert!(error.contains("not the expected JSON"), "{error}");
}

#[test]
fn a_stated_size_reserves_nothing() {
    // A photograph of 200 megapixels by the annotations, of 35 pixels in truth.
    let images = r#""images":[{"id":1,"file_name":"a.png","width":16000,"height":12500}]"#;
    let whole = r#"{"counts":[0,200000000],"size":[12500,16000]}"#;
    let (dir, set) = small(images, &mark(whole, 0, 1));
    write(dir.path(), "a.png", "");
    let error = set.unwrap().records[0].mask().unwrap_err();
    assert!(matches!(error, DataError::ImageSize { .. }), "{error}");
    assert!(error.to_string().contains("7×5"), "{error}");
}

#[test]
fn a_sidecar_must_be_whole() {
    let (dir, set) = small(&image("a.png"), &mark(GOOD, 4, 1));
    assert_eq!(set.unwrap().records[0].kinds, [DefectKind::Dent]);
    for (side, expected) in [
        ("[]", "image 1 has no entry"),
        (
            r#"[{"image_id":1,"object":"a"},{"image_id":1,"object":"b"}]"#,
            "two entries",
        ),
        (r#"[{"image_id":1}]"#, "not the expected JSON"),
        (
            r#"[{"image_id":1,"object":"a","qa":[{"type":"poem","answer":""}]}]"#,
            "not the expected JSON",
        ),
        ("nonsense", "not the expected JSON"),
    ] {
        write(dir.path(), SIDECAR, side);
        let error = read_dataset(dir.path(), None).unwrap_err().to_string();
        assert!(
            error.contains(expected) && error.contains(SIDECAR),
            "{error}"
        );
    }
}
