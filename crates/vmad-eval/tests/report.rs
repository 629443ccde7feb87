//! From single images to the report, its JSON and its table.

use vmad_eval::{
    Accumulator, Answer, Bootstrap, EvalError, EvalOptions, ImageResult, Lexicon, Mask, Report,
    ScoreMap, Truth, compare,
};

const SIDE: usize = 4;

/// An image whose top left pixel is the defect, and whose map is `inside` there and 0.1 elsewhere.
fn image(score: f32, inside: f32, kind: Option<(&str, Option<&str>)>, calm: bool) -> ImageResult {
    let at_corner = |i: usize| i == 0;
    ImageResult {
        score,
        map: Some(ScoreMap {
            width: SIDE,
            height: SIDE,
            values: (0..SIDE * SIDE)
                .map(|i| if at_corner(i) { inside } else { 0.1 })
                .collect(),
        }),
        mask: kind.map(|_| Mask {
            width: SIDE,
            height: SIDE,
            values: (0..SIDE * SIDE).map(at_corner).collect(),
        }),
        truth: Truth {
            is_defective: kind.is_some(),
            kinds: kind.iter().map(|(truth, _)| (*truth).into()).collect(),
            ..Truth::default()
        },
        answers: vec![Answer {
            ask: "description".into(),
            said: Lexicon::new(["dent", "hole"]).parse(&words(kind, calm), "bolt"),
        }],
    }
}

fn words(kind: Option<(&str, Option<&str>)>, calm: bool) -> String {
    match kind.and_then(|(_, answer)| answer) {
        Some(named) => format!("There is a {named}."),
        None if calm => "No defect is visible.".into(),
        None => "A photograph.".into(),
    }
}

fn small_grid() -> EvalOptions {
    EvalOptions {
        grid_side: SIDE,
        ..EvalOptions::default()
    }
}

fn report() -> Result<Report, EvalError> {
    let mut results = Accumulator::new(small_grid())?;
    results.add("bolt", image(0.9, 0.9, Some(("dent", Some("dent"))), false))?;
    results.add("nut", image(0.2, 0.8, Some(("dent", None)), true))?;
    results.add("bolt", image(0.1, 0.1, None, true))?;
    results.add("nut", image(0.5, 0.1, None, false))?;
    results.add("nut", image(0.7, 0.9, Some(("hole", Some("hole"))), false))?;
    results.close("bolt")?;
    results.add("empty|side", image(0.3, 0.1, None, true))?;
    results.finish()
}

#[test]
fn categories_and_means() -> Result<(), EvalError> {
    let report = report()?;
    assert_eq!((report.n_images, report.n_defective), (6, 3));
    assert_eq!(report.most_frequent_type.as_deref(), Some("dent"));

    let bolt = &report.categories["bolt"].scores;
    assert_eq!(bolt.image_auroc, Some(1.0));
    assert_eq!(bolt.pixel_auroc, Some(1.0));
    assert_eq!(bolt.pro, Some(1.0));
    assert_eq!(bolt.most_frequent_type_rate, Some(1.0));

    let nut = &report.categories["nut"];
    assert_eq!((nut.n_images, nut.n_defective), (3, 2));
    assert_eq!(nut.scores.image_auroc, Some(0.5));
    assert_eq!(nut.scores.defect_type_accuracy, Some(0.5));
    assert_eq!(nut.scores.normal_called_normal, Some(0.0));

    let empty = &report.categories["empty|side"].scores;
    assert_eq!((empty.image_auroc, empty.image_ap), (None, None));
    assert_eq!((empty.pixel_auroc, empty.pro), (None, None));
    assert_eq!(empty.defect_type_accuracy, None);

    assert_eq!(report.scores.image_auroc, Some(0.75), "None is left out");
    assert_eq!(report.scores.defect_type_accuracy, Some(0.75));
    assert_eq!(report.scores.most_frequent_type_rate, Some(0.75));
    assert_eq!(report.scores.normal_called_normal, Some(2.0 / 3.0));
    Ok(())
}

#[test]
fn json_is_flat_and_says_null() -> Result<(), Box<dyn std::error::Error>> {
    let report = report()?;
    let json = serde_json::to_value(&report)?;
    for key in [
        "image_auroc",
        "image_ap",
        "pixel_auroc",
        "pro",
        "defect_type_accuracy",
        "normal_called_normal",
        "most_frequent_type_rate",
    ] {
        assert!(json[key].is_number(), "{key}: {}", json[key]);
        assert!(json["categories"]["bolt"][key].is_number(), "{key}");
    }
    assert_eq!(json["categories"]["bolt"]["n_images"], 2);
    assert!(json["categories"]["empty|side"]["pro"].is_null());
    assert_eq!(json["grid"], serde_json::json!([SIDE, SIDE]));
    assert_eq!(json["pro_variant"], "mvtec");
    assert_eq!(json["categories"]["bolt"]["image_f1_threshold"], 0.9f32);
    assert_eq!(
        json["text"]["description"]["kind_right"],
        serde_json::json!({"n": 2, "of": 3})
    );
    assert_eq!(json["confusion"]["dent"]["normal"], 1);
    assert!(json.get("ci").is_none() && json.get("mmad").is_none());
    assert_eq!(serde_json::from_value::<Report>(json)?, report);
    Ok(())
}

#[test]
fn markdown_has_a_row_per_category() -> Result<(), EvalError> {
    let text = report()?.to_markdown();
    let rows: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(rows.len(), 2 + 3 + 1, "{text}");
    assert!(rows[2].starts_with("| bolt | 2 | 1 | 100.0 |"), "{text}");
    assert!(
        rows[3].starts_with("| empty\\|side | 1 | 0 | – |"),
        "{text}"
    );
    assert!(rows[5].starts_with("| **mean** | 6 | 3 | 75.0 |"), "{text}");
    assert!(
        text.contains("| defect type right | 66.7 (2 of 3) |"),
        "{text}"
    );
    Ok(())
}

#[test]
fn intervals_surround_the_mean() -> Result<(), Box<dyn std::error::Error>> {
    let options = EvalOptions {
        bootstrap: Some(Bootstrap {
            n_resamples: 200,
            seed: 1,
        }),
        ..small_grid()
    };
    let mut results = Accumulator::new(options)?;
    for i in 0..24_u8 {
        let is_defective = i % 2 == 0;
        let score = f32::from(i * 7 % 11) / 11.0 + if is_defective { 0.2 } else { 0.0 };
        let kind = is_defective.then_some(("dent", Some("dent")));
        let category = if i % 4 < 2 { "bolt" } else { "nut" };
        results.add(category, image(score, score / 2.0, kind, true))?;
    }
    let report = results.finish()?;
    let ci = report.ci.ok_or("no intervals")?;
    for (interval, value) in [
        (ci.image_auroc, report.scores.image_auroc),
        (ci.image_ap, report.scores.image_ap),
        (ci.pro, report.scores.pro),
    ] {
        let ((low, high), value) = (interval.ok_or("none")?, value.ok_or("none")?);
        assert!(low <= value && value <= high, "{low} {value} {high}");
        assert!(low < high);
    }
    let json = serde_json::to_value(&report)?;
    assert_eq!(json["bootstrap"]["n_resamples"], 200);
    assert_eq!(serde_json::from_value::<Report>(json)?, report);
    assert!(report.to_markdown().contains("95 % interval"));
    Ok(())
}

#[test]
fn a_report_is_held_against_another() -> Result<(), Box<dyn std::error::Error>> {
    let report = report()?;
    let same = compare(&report, &report);
    assert!(same.reservations.is_empty());
    assert!(same.differences.iter().all(|d| d.value == d.reference));
    assert!(same.differences.iter().any(|d| d.category.is_none()));

    let mut reference = report.clone();
    reference.grid = (256, 256);
    reference.scores.image_auroc = Some(0.5);
    reference.categories.remove("nut");
    let other = compare(&report, &reference);
    assert_eq!(
        other.reservations,
        ["evaluation grid: 4x4 here, 256x256 in the reference"]
    );
    let first = &other.differences[0];
    assert_eq!(
        (first.metric, first.value, first.reference),
        ("image AUROC", 0.75, 0.5)
    );
    assert!(
        !other
            .differences
            .iter()
            .any(|d| d.category.as_deref() == Some("nut"))
    );
    Ok(())
}

#[test]
fn maps_and_masks_of_any_size_meet_on_the_grid() -> Result<(), EvalError> {
    let mut results = Accumulator::new(small_grid())?;
    let mut large = image(0.9, 0.9, Some(("dent", None)), false);
    large.mask = Some(Mask {
        width: 12,
        height: 8,
        values: (0..96).map(|i| i % 12 < 3 && i / 12 < 2).collect(),
    });
    results.add("bolt", large)?;
    let report = results.finish()?;
    assert_eq!(report.scores.pixel_auroc, Some(1.0));
    Ok(())
}

#[test]
fn images_without_pixel_truth_stay_out_of_pixel_metrics() -> Result<(), EvalError> {
    let mut results = Accumulator::new(small_grid())?;
    let mut unknown = image(0.9, 0.0, Some(("dent", None)), false);
    unknown.mask = None;
    results.add("bolt", unknown)?;
    results.add("bolt", image(0.8, 0.9, Some(("dent", None)), false))?;
    let report = results.finish()?;
    assert_eq!(report.scores.pixel_auroc, Some(1.0));
    assert_eq!(report.n_defective, 2);
    Ok(())
}

#[test]
fn nothing_at_all_is_a_report_of_nulls() -> Result<(), EvalError> {
    let report = Accumulator::new(EvalOptions::default())?.finish()?;
    assert_eq!(report.scores, vmad_eval::Scores::default());
    assert_eq!(report.pooled_f1, None);
    Ok(())
}

#[test]
fn bad_results_are_refused_and_leave_no_trace() -> Result<(), EvalError> {
    let mut results = Accumulator::new(small_grid())?;
    let good = || image(0.5, 0.5, Some(("dent", None)), false);

    let mut bad = good();
    bad.score = f32::NAN;
    assert!(matches!(
        results.add("a", bad),
        Err(EvalError::NotFinite { what: "score", .. })
    ));
    let mut bad = good();
    bad.map = Some(ScoreMap {
        width: 4,
        height: 4,
        values: vec![0.0; 15],
    });
    assert!(matches!(
        results.add("a", bad),
        Err(EvalError::SizeMismatch { what: "map", .. })
    ));
    let mut bad = good();
    bad.truth.is_defective = false;
    assert!(matches!(
        results.add("a", bad),
        Err(EvalError::NormalWithMask { .. })
    ));
    results.add("a", good())?;
    results.close("a")?;
    assert_eq!(
        results.add("a", good()),
        Err(EvalError::CategoryClosed("a".into()))
    );
    assert_eq!(results.finish()?.n_images, 1);
    assert!(
        Accumulator::new(EvalOptions {
            grid_side: 0,
            ..EvalOptions::default()
        })
        .is_err()
    );
    Ok(())
}
