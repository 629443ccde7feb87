//! Calibration of thresholds.

use futures::stream;

use super::*;
use crate::{
    Calibration, CalibrationEvent, CalibrationOptions, CalibrationPhoto, Label, Photo,
    ThresholdMethod,
};

/// A different photograph for each number.
fn photo_of(number: u32) -> RgbImage {
    let mut image = photo();
    for (x, y, pixel) in image.enumerate_pixels_mut() {
        if x / 10 == number && y > 20 {
            *pixel = [255, 255, 255].into();
        }
    }
    image
}

fn labelled_photo(number: u32, label: Label) -> CalibrationPhoto {
    CalibrationPhoto {
        name: number.to_string(),
        photo: Ok(photo_of(number).into()),
        label,
        object: None,
    }
}

fn good(n: u32) -> Vec<CalibrationPhoto> {
    (0..n).map(|i| labelled_photo(i, Label::Good)).collect()
}

fn options(quantile: f64) -> CalibrationOptions {
    CalibrationOptions {
        object: Some("bolt".to_owned()),
        quantile,
        ..CalibrationOptions::default()
    }
}

fn calibrate(
    engine: &mut Engine,
    photos: Vec<CalibrationPhoto>,
    options: CalibrationOptions,
) -> Result<Vec<CalibrationEvent>, EngineError> {
    let cancel = CancelToken::new();
    let events = engine.calibrate(stream::iter(photos), options, &cancel);
    let events: Vec<_> = block_on(events.collect());
    events.into_iter().collect()
}

fn calibration(events: &[CalibrationEvent]) -> Option<&Calibration> {
    events.iter().find_map(|event| match event {
        CalibrationEvent::Calibration(calibration) => Some(calibration),
        _ => None,
    })
}

#[test]
fn scores_are_those_of_an_inspection() -> Outcome {
    let mut engine = open()?;
    let events = calibrate(&mut engine, good(4), options(0.5))?;
    let last = CalibrationEvent::Done {
        reason: StopReason::End,
    };
    assert_eq!(events.last(), Some(&last));
    assert_eq!(events.len(), 6);
    let calibration = calibration(&events).ok_or(EngineError::NoImage)?;
    assert_eq!(
        (
            calibration.n_good,
            calibration.n_defective,
            calibration.n_skipped
        ),
        (4, 0, 0)
    );
    assert_eq!((calibration.own.image, calibration.own.pixel), (0.5, 0.5));

    let cancel = CancelToken::new();
    let mut n_passed = 0;
    for (number, scored) in (0..).zip(&calibration.scores) {
        let query = Query {
            object: Some("bolt".to_owned()),
            threshold: Some(calibration.image.threshold),
            map_threshold: Some(calibration.pixel.threshold),
            ..Query::default()
        };
        let events = all(engine.inspect(photo_of(number), query, &cancel))?;
        let verdict = results(&events);
        let peak = first_map(&events).into_iter().fold(f32::MIN, f32::max);
        assert_eq!(
            (scored.score, scored.peak),
            (verdict[0].score, peak),
            "{number}"
        );
        assert_eq!(verdict[0].map_threshold, calibration.pixel.threshold);
        n_passed += usize::from(!verdict[0].anomalous);
        if scored.peak <= calibration.pixel.threshold {
            assert!(verdict[0].regions.is_empty(), "{number}");
        }
    }
    // ⌈5 · 0.5⌉ = 3 of the four stay below.
    assert_eq!(n_passed, 3);
    Ok(())
}

#[test]
fn methods_follow_the_labels() -> Outcome {
    let mut engine = open()?;
    let mask = vmad_prep::GrayImage::from_fn(90, 60, |x, _| [u8::from(x > 44) * 255].into());
    for (label, image_is_f1, pixel_is_f1) in [
        (Label::Good, false, false),
        (Label::Defective, true, false),
        (Label::Marked(mask), true, true),
    ] {
        let mut photos = good(3);
        photos.push(labelled_photo(4, label.clone()));
        let events = calibrate(&mut engine, photos, options(0.9))?;
        let calibration = calibration(&events).ok_or(EngineError::NoImage)?;
        let is_f1 = |method| matches!(method, ThresholdMethod::F1 { .. });
        assert_eq!(is_f1(calibration.image.method), image_is_f1, "{label:?}");
        assert_eq!(is_f1(calibration.pixel.method), pixel_is_f1, "{label:?}");
    }
    Ok(())
}

#[test]
fn unusable_photographs_are_reported_and_left_out() -> Outcome {
    let mut engine = open()?;
    let bad = |name: &str, photo: Result<Photo, EngineError>| CalibrationPhoto {
        name: name.to_owned(),
        photo,
        label: Label::Good,
        object: None,
    };
    let gone = || EngineError::Unreadable {
        reason: "gone".to_owned(),
    };
    let mut photos = good(2);
    photos.insert(1, bad("notes.txt", Ok(b"no image".to_vec().into())));
    photos.push(bad("moved.png", Err(gone())));
    let events = calibrate(&mut engine, photos, options(0.5))?;
    let skipped: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            CalibrationEvent::Skipped { name, code, .. } => Some((name.as_str(), *code)),
            _ => None,
        })
        .collect();
    let expected = [
        ("notes.txt", "not-an-image"),
        ("moved.png", "file-unreadable"),
    ];
    assert_eq!(skipped, expected);
    let counts =
        calibration(&events).map(|calibration| (calibration.n_good, calibration.n_skipped));
    assert_eq!(counts, Some((2, 2)));

    for (photos, options, code) in [
        (Vec::new(), options(0.5), "no-good-part"),
        (
            vec![bad("moved.png", Err(gone()))],
            options(0.5),
            "no-good-part",
        ),
        (
            vec![labelled_photo(1, Label::Defective)],
            options(0.5),
            "no-good-part",
        ),
        (good(1), options(1.0), "bad-query"),
        (good(1), options(f64::NAN), "bad-query"),
        (
            good(1),
            CalibrationOptions {
                normal: Some("x ".repeat(900)),
                ..options(0.5)
            },
            "question-too-long",
        ),
    ] {
        let error = calibrate(&mut engine, photos, options);
        let actual = error.as_ref().err().map(EngineError::code);
        assert_eq!(actual, Some(code), "{error:?}");
    }
    Ok(())
}

/// However a calibration ends, the conversation continues as if there had been none.
#[test]
fn the_conversation_continues_afterwards() -> Outcome {
    let cancel = CancelToken::new();
    let generation = short(3, 1.0);
    let ask = |engine: &mut Engine| -> Result<String, EngineError> {
        let events = engine.ask("Where is it?", generation.clone(), &CancelToken::new());
        Ok(text(&all(events)?))
    };
    let mut plain = open()?;
    all(plain.inspect(photo(), describe(generation.clone()), &cancel))?;
    let expected = ask(&mut plain)?;

    for ending in ["complete", "failed", "cancelled", "dropped"] {
        let mut engine = open()?;
        all(engine.inspect(photo(), describe(generation.clone()), &cancel))?;
        let cancelled = CancelToken::new();
        let photos = if ending == "failed" {
            Vec::new()
        } else {
            good(3)
        };
        {
            let mut events = engine.calibrate(stream::iter(photos), options(0.5), &cancelled);
            let mut received = Vec::new();
            while let Some(event) = block_on(events.next()) {
                received.extend(event);
                match ending {
                    "cancelled" => cancelled.cancel(),
                    "dropped" => break,
                    _ => {}
                }
            }
            if ending == "cancelled" {
                let done = CalibrationEvent::Done {
                    reason: StopReason::Cancelled,
                };
                assert_eq!(received.last(), Some(&done));
                assert!(calibration(&received).is_none());
            }
        }
        assert_eq!(ask(&mut engine)?, expected, "{ending}");
    }
    Ok(())
}

#[test]
fn a_calibration_needs_no_photograph_before_it() -> Outcome {
    let mut engine = open()?;
    calibrate(&mut engine, good(1), options(0.5))?;
    assert!(!engine.has_image());
    Ok(())
}
