//! MVTec AD, VisA and WFDD, and how a folder is recognised.

use std::fs;

use vmad_data::{DataError, Layout, Truth, detect, read_dataset};

use crate::common::{area, check_lines, read, tree, write};

const MVTEC: &[(&str, &str)] = &[
    ("license.txt", "x"),
    ("metal_nut/readme.txt", "x"),
    ("metal_nut/train/good/000.png", ""),
    ("metal_nut/train/good/001.png", ""),
    ("metal_nut/test/good/000.png", ""),
    ("metal_nut/test/good/Thumbs.db", "x"),
    ("metal_nut/test/bent/000.png", ""),
    ("metal_nut/ground_truth/bent/000_mask.png", ""),
    ("metal_nut/test/scratch/000.png", ""),
    ("metal_nut/ground_truth/scratch/000_mask.png", ""),
    ("bottle/train/good/000.png", ""),
    ("bottle/test/broken_large/007.png", ""),
    ("bottle/ground_truth/broken_large/007_mask.png", ""),
];

#[test]
fn mvtec() {
    let dir = tree(MVTEC);
    assert_eq!(detect(dir.path()).unwrap(), Layout::Mvtec);
    let set = read(&dir);
    assert_eq!(set.layout, Layout::Mvtec);
    check_lines(
        &set,
        &[
            r#"0 bottle/train/good/000.png [bottle/bottle] train good [] []"#,
            r#"1 bottle/test/broken_large/007.png [bottle/bottle] test bad ["broken_large"] []"#,
            r#"2 metal_nut/train/good/000.png [metal_nut/metal nut] train good [] []"#,
            r#"3 metal_nut/train/good/001.png [metal_nut/metal nut] train good [] []"#,
            r#"4 metal_nut/test/bent/000.png [metal_nut/metal nut] test bad ["bent"] ["dent"]"#,
            r#"5 metal_nut/test/good/000.png [metal_nut/metal nut] test good [] []"#,
            r#"6 metal_nut/test/scratch/000.png [metal_nut/metal nut] test bad ["scratch"] ["scratch"]"#,
        ],
    );
    for record in &set.records {
        assert_eq!(area(record), if record.is_defective { 2 } else { 0 });
        assert_eq!((record.size, record.qa.len()), (None, 0));
        assert!(record.normal_description.is_empty());
    }
    assert_eq!(
        set.categories().into_iter().collect::<Vec<_>>(),
        ["bottle", "metal_nut"]
    );
}

#[test]
fn one_category_is_a_data_set() {
    let dir = tree(MVTEC);
    let category = dir.path().join("metal_nut");
    let set = read_dataset(&category, None).unwrap();
    assert_eq!(set.records.len(), 5);
    assert!(set.records.iter().all(|r| r.category == "metal_nut"));
}

#[test]
fn sets_that_resemble_mvtec() {
    // VisA converted for one-class work: masks have the photograph's name.
    let dir = tree(&[
        ("pcb1/train/good/0001.JPG", ""),
        ("pcb1/test/good/0002.JPG", ""),
        ("pcb1/test/bad/000.JPG", ""),
        ("pcb1/ground_truth/bad/000.png", ""),
        // Another ending for photographs and masks, and another word for good.
        ("02/train/ok/0000.bmp", ""),
        ("02/test/ko/0000.bmp", ""),
        ("02/ground_truth/ko/0000.bmp", ""),
        ("02/validation/ok/1.tif", ""),
        // No masks at all.
        ("03/train/good/1.webp", ""),
        ("03/test/hole/1.webp", ""),
    ]);
    let set = read(&dir);
    check_lines(
        &set,
        &[
            r#"0 02/train/ok/0000.bmp [02/02] train good [] []"#,
            r#"1 02/validation/ok/1.tif [02/02] val good [] []"#,
            r#"2 02/test/ko/0000.bmp [02/02] test bad ["ko"] []"#,
            r#"3 03/train/good/1.webp [03/03] train good [] []"#,
            r#"4 03/test/hole/1.webp [03/03] test bad ["hole"] ["hole"]"#,
            r#"5 pcb1/train/good/0001.JPG [pcb1/printed circuit board] train good [] []"#,
            r#"6 pcb1/test/bad/000.JPG [pcb1/printed circuit board] test bad ["bad"] []"#,
            r#"7 pcb1/test/good/0002.JPG [pcb1/printed circuit board] test good [] []"#,
        ],
    );
    for (place, expected) in [(1, 0), (2, 2), (6, 2), (7, 0)] {
        assert_eq!(area(&set.records[place]), expected, "record {place}");
    }
    let unmarked = &set.records[4];
    assert_eq!(unmarked.truth, Truth::Nothing);
    assert!(matches!(unmarked.mask(), Err(DataError::NoMask { .. })));
    assert!(unmarked.load().unwrap().mask.is_none());
}

#[test]
fn a_missing_mask_is_named_when_it_is_asked_for() {
    let dir = tree(MVTEC);
    fs::remove_file(dir.path().join("metal_nut/ground_truth/bent/000_mask.png")).unwrap();
    let set = read(&dir);
    let error = set.records[4].mask().unwrap_err().to_string();
    assert!(error.contains("000_mask.png"), "{error}");
}

#[test]
fn wfdd() {
    let dir = tree(&[
        ("grey_cloth/train/good/1.png", ""),
        ("grey_cloth/test/line/1.png", ""),
        ("grey_cloth/ground_truth/line/1_mask.png", ""),
        ("pink_flower/train/good/1.png", ""),
        ("pink_flower/test/good/1.png", ""),
    ]);
    assert_eq!(detect(dir.path()).unwrap(), Layout::Wfdd);
    let set = read(&dir);
    check_lines(
        &set,
        &[
            r#"0 grey_cloth/train/good/1.png [grey_cloth/grey cloth] train good [] []"#,
            r#"1 grey_cloth/test/line/1.png [grey_cloth/grey cloth] test bad ["line"] []"#,
            r#"2 pink_flower/train/good/1.png [pink_flower/pink flower cloth] train good [] []"#,
            r#"3 pink_flower/test/good/1.png [pink_flower/pink flower cloth] test good [] []"#,
        ],
    );
    assert_eq!(area(&set.records[1]), 2);
    let one = dir.path().join("pink_flower");
    assert_eq!(detect(&one).unwrap(), Layout::Wfdd);
    // Another fabric makes it another set.
    write(dir.path(), "denim/train/good/1.png", "");
    write(dir.path(), "denim/test/good/1.png", "");
    assert_eq!(detect(dir.path()).unwrap(), Layout::Mvtec);
}

const VISA: &[(&str, &str)] = &[
    ("candle/Data/Images/Normal/0000.JPG", ""),
    ("candle/Data/Images/Normal/0001.JPG", ""),
    ("candle/Data/Images/Anomaly/000.JPG", ""),
    ("candle/Data/Masks/Anomaly/000.png", ""),
    (
        "candle/image_anno.csv",
        "image,label,mask\r\n\
         candle/Data/Images/Anomaly/000.JPG,\"small scratches, chunk of wax missing,other\",candle/Data/Masks/Anomaly/000.png\r\n\
         candle/Data/Images/Normal/0000.JPG,normal,\r\n\
         candle/Data/Images/Normal/0001.JPG,normal,\r\n",
    ),
    ("macaroni2/Data/Images/Normal/0000.JPG", ""),
    ("macaroni2/Data/Images/Anomaly/000.JPG", ""),
    ("macaroni2/Data/Masks/Anomaly/000.png", ""),
];

const SPLIT: (&str, &str) = (
    "split_csv/1cls.csv",
    "object,split,label,image,mask\n\
     candle,train,normal,candle/Data/Images/Normal/0001.JPG,\n\
     candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,candle/Data/Masks/Anomaly/000.png\n\
     cashew,test,normal,cashew/Data/Images/Normal/0001.JPG,\n\
     macaroni2,test,anomaly,macaroni2\\Data\\Images\\Anomaly\\000.JPG,macaroni2/Data/Masks/Anomaly/000.png\n\
     macaroni2,test,normal,macaroni2/Data/Images/Normal/0000.JPG,\n",
);

#[test]
fn visa_with_its_split() {
    let dir = tree(VISA);
    write(dir.path(), SPLIT.0, SPLIT.1);
    assert_eq!(detect(dir.path()).unwrap(), Layout::Visa);
    let set = read(&dir);
    check_lines(
        &set,
        &[
            r#"0 candle/Data/Images/Normal/0001.JPG [candle/candle] train good [] []"#,
            r#"1 candle/Data/Images/Anomaly/000.JPG [candle/candle] test bad ["small scratches", "chunk of wax missing", "other"] ["scratch", "chip"]"#,
            r#"2 macaroni2/Data/Images/Anomaly/000.JPG [macaroni2/macaroni] test bad [] []"#,
            r#"3 macaroni2/Data/Images/Normal/0000.JPG [macaroni2/macaroni] test good [] []"#,
        ],
    );
    for record in &set.records {
        assert_eq!(area(record), if record.is_defective { 2 } else { 0 });
    }
}

#[test]
fn visa_without_its_split() {
    let dir = tree(VISA);
    let set = read(&dir);
    assert_eq!(set.layout, Layout::Visa);
    check_lines(
        &set,
        &[
            r#"0 candle/Data/Images/Anomaly/000.JPG [candle/candle] - bad ["small scratches", "chunk of wax missing", "other"] ["scratch", "chip"]"#,
            r#"1 candle/Data/Images/Normal/0000.JPG [candle/candle] - good [] []"#,
            r#"2 candle/Data/Images/Normal/0001.JPG [candle/candle] - good [] []"#,
            r#"3 macaroni2/Data/Images/Anomaly/000.JPG [macaroni2/macaroni] - bad [] []"#,
            r#"4 macaroni2/Data/Images/Normal/0000.JPG [macaroni2/macaroni] - good [] []"#,
        ],
    );
    assert_eq!(area(&set.records[0]), 2);
    assert_eq!(area(&set.records[3]), 2);
    // One object alone; its CSV still begins paths with its name.
    let one = read_dataset(&dir.path().join("candle"), None).unwrap();
    assert_eq!((one.layout, one.records.len()), (Layout::Visa, 3));
    assert_eq!(one.records[0].defect_types.len(), 3);
}

#[test]
fn hostile_lists_are_errors() {
    let head = "object,split,label,image,mask\n";
    let normal = "candle/Data/Images/Normal/0001.JPG";
    let bad = "candle/Data/Images/Anomaly/000.JPG";
    let check = |name: &str, text: &str, expected: &str| {
        let dir = tree(VISA);
        write(dir.path(), name, text);
        let error = read_dataset(dir.path(), None).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} / {expected}");
        let file = name.rsplit('/').next().unwrap();
        assert!(
            expected == "no photographs" || error.contains(file),
            "{error}"
        );
    };
    for (lines, expected) in [
        (
            "candle,train,normal,../../etc/passwd,".to_owned(),
            "leaves the folder",
        ),
        (
            "candle,train,normal,candle/../../a.png,".to_owned(),
            "leaves the folder",
        ),
        (
            "candle,train,normal,candle\\..\\..\\a.png,".to_owned(),
            "leaves the folder",
        ),
        (
            "candle,train,normal,/etc/passwd,".to_owned(),
            "leaves the folder",
        ),
        (
            "candle,train,normal,macaroni2/Data/Images/Normal/0000.JPG,".to_owned(),
            "leaves the folder",
        ),
        ("candle,train,normal,,".to_owned(), "leaves the folder"),
        (
            format!("candle,test,anomaly,{bad},../x.png"),
            "leaves the folder",
        ),
        (
            format!("candle,train,normal,{normal},\ncandle,test,normal,{normal},"),
            "occurs twice",
        ),
        (format!("candle,both,normal,{normal},"), "split \"both\""),
        (format!("candle,train,fine,{normal},"), "label \"fine\""),
        ("candle,train".to_owned(), "line 2: 2 fields"),
        (
            "nothing,train,normal,nothing/1.png,".to_owned(),
            "no photographs",
        ),
        (String::new(), "no photographs"),
    ] {
        check(SPLIT.0, &format!("{head}{lines}\n"), expected);
    }
    check(SPLIT.0, "object,split\ncandle,train\n", "no column");
    check(SPLIT.0, "\u{0}\u{1}\u{2}\n\u{3}\n", "no column");
    let labels = "candle/image_anno.csv";
    for (lines, expected) in [
        (format!("{normal},scratch,"), "lies among the normal ones"),
        (format!("{bad},normal,"), "lies among the anomalies"),
        ("candle/../x.png,normal,".to_owned(), "leaves the folder"),
    ] {
        check(labels, &format!("image,label,mask\n{lines}\n"), expected);
    }
}

#[test]
fn other_folders_are_refused_with_advice() {
    let check = |files: &[(&str, &str)], inner: &str, parts: &[&str]| {
        let dir = tree(files);
        let error = detect(&dir.path().join(inner)).unwrap_err();
        assert!(matches!(error, DataError::UnknownLayout { .. }), "{error}");
        let text = error.to_string();
        for part in parts {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        assert_eq!(
            text.contains("looks like"),
            parts.contains(&"looks like"),
            "{text}"
        );
    };
    let looked = ["annotations.json", "ground_truth", "Data/Images"];
    check(&[], "", &[&looked[..], &["found nothing"]].concat());
    check(
        &[("a/1.png", ""), ("b.txt", "x")],
        "",
        &[&looked[..], &["found a/, b.txt"]].concat(),
    );
    // One level too high, and one too low.
    check(
        &[
            ("set/nut/train/good/1.png", ""),
            ("set/nut/test/good/1.png", ""),
        ],
        "",
        &["found set/", "looks like", "set"],
    );
    check(
        &[("nut/train/good/1.png", ""), ("nut/test/good/1.png", "")],
        "nut/test",
        &["found good/", "looks like", "nut"],
    );
    let many: Vec<String> = (0..12).map(|i| format!("{i:02}.txt")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "x")).collect();
    check(&many, "", &["07.txt, 4 more"]);

    let dir = tree(&[
        ("nut/train/good/1.png", ""),
        ("nut/test/good/1.png", ""),
        ("annotations.json", "{}"),
    ]);
    let error = detect(dir.path()).unwrap_err().to_string();
    assert!(error.contains("coco, mvtec"), "{error}");
    assert!(read_dataset(dir.path(), Some(Layout::Mvtec)).is_ok());

    let gone = dir.path().join("gone");
    assert!(matches!(detect(&gone), Err(DataError::Io { .. })));
    let empty = tree(&[]);
    for layout in [Layout::Mvtec, Layout::Visa, Layout::Wfdd] {
        let error = read_dataset(empty.path(), Some(layout))
            .unwrap_err()
            .to_string();
        assert!(error.contains("no photographs"), "{error}");
    }
    let odd = tree(&[("nut/train/bad/1.png", ""), ("nut/test/good/1.png", "")]);
    let error = read_dataset(odd.path(), None).unwrap_err().to_string();
    assert!(error.contains("outside of test"), "{error}");
}

#[test]
fn names_are_read_back() {
    for layout in Layout::ALL {
        assert_eq!(Layout::parse(layout.name()), Some(layout));
    }
    assert_eq!(Layout::parse("MVTec"), None);
}
