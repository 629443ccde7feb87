//! Sessions through [`vmad_web::WasmInspector`], as the worker runs them.

use std::cell::Cell;
use std::rc::Rc;

use serde_json::json;
use wasm_bindgen_test::{console_log, wasm_bindgen_test};

use crate::browser::{
    COFFEE, COINS, Inspector, Server, code, from_js, has_gpu, in_another_task, map, number,
    of_kind, reason, text, words,
};

/// Largest difference of two anomaly maps, 0 to 1, of the same quantised weights. Both devices
/// compute in f32 and differ in the order of sums, by up to 1e-4 in the logits; the logistic
/// function at least quarters it.
const MAP_TOLERANCE: f32 = 2.5e-5;

#[wasm_bindgen_test]
async fn webgpu_computes_what_the_cpu_computes() {
    if !has_gpu().await {
        return;
    }
    let server = Server::new("agree", []);
    let query = json!({
        "object": "coin",
        "ask": "description",
        "generation": { "maxNewTokens": 12 },
    });
    let cpu = server.open("cpu").await.unwrap();
    let gpu = server.open("gpu").await.unwrap();
    assert_eq!(cpu.device()["kind"], "cpu");
    assert_eq!(gpu.device()["kind"], "gpu");
    for photo in [COINS, COFFEE] {
        let on_cpu = cpu.inspect(photo, query.clone()).await.unwrap();
        let on_gpu = gpu.inspect(photo, query.clone()).await.unwrap();
        assert_eq!(words(&on_cpu), words(&on_gpu));
        assert_eq!(reason(&on_cpu), reason(&on_gpu));
        let (expected, actual) = (map(&on_cpu), map(&on_gpu));
        assert_eq!(expected.len(), actual.len());
        let difference = |(at, (a, b)): (usize, (&f32, &f32))| ((a - b).abs(), at);
        let pairs = actual.iter().zip(&expected).enumerate();
        let (worst, at) = pairs
            .map(difference)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .unwrap();
        console_log!("largest difference of the maps: {worst:e}");
        assert!(
            worst <= MAP_TOLERANCE,
            "map[{at}] is {} on WebGPU and {} on the CPU",
            actual[at],
            expected[at]
        );
    }
    let answer = gpu.ask("Is it deep?", json!({ "maxNewTokens": 6 })).await;
    let expected = cpu.ask("Is it deep?", json!({ "maxNewTokens": 6 })).await;
    assert_eq!(words(&answer.unwrap()), words(&expected.unwrap()));
}

/// When an answer ends early, reads of further tokens are still pending. Dropping them once broke the device at the
/// next read.
#[wasm_bindgen_test]
async fn answers_that_end_early_leave_the_gpu_usable() {
    if !has_gpu().await {
        return;
    }
    let server = Server::new("early", []);
    let cpu = server.open("cpu").await.unwrap();
    let gpu = server.open("gpu").await.unwrap();
    let query = json!({ "object": "coin", "ask": "none" });
    cpu.inspect(COINS, query.clone()).await.unwrap();
    gpu.inspect(COINS, query).await.unwrap();
    let first = json!({ "maxNewTokens": 12 });
    let mut n_early = 0;
    for stop in ["a", "e", "i"] {
        let early = json!({ "maxNewTokens": 12, "stop": [stop] });
        for (question, options) in [("Is it deep?", &early), ("Is it old?", &first)] {
            let expected = cpu.ask(question, options.clone()).await.unwrap();
            let answer = gpu.ask(question, options.clone()).await.unwrap();
            assert_eq!(words(&answer), words(&expected));
            assert_eq!(reason(&answer), reason(&expected));
            n_early += u32::from(reason(&answer) == "stop");
        }
    }
    assert!(n_early > 0, "no answer has ended early");
    cancel_at_first_token(&gpu).await;
    cancel_at_first_token(&cpu).await;
    let expected = cpu.ask("Is it deep?", first.clone()).await.unwrap();
    let answer = gpu.ask("Is it deep?", first).await.unwrap();
    assert_eq!(words(&answer), words(&expected));
}

/// Asks for a long answer and cancels it at its first token.
async fn cancel_at_first_token(inspector: &Inspector) {
    // `cancel` is called from another task, as from the page, so it has an effect only if the
    // engine ends its task between steps.
    let to_cancel = Rc::clone(&inspector.inner);
    let is_sent = Cell::new(false);
    let long = json!({ "maxNewTokens": 400, "temperature": 1.0, "seed": 3 });
    let on_event = move |event: &wasm_bindgen::JsValue| {
        if text(event, "kind") == "token" && !is_sent.replace(true) {
            let inspector = Rc::clone(&to_cancel);
            in_another_task(move || inspector.cancel());
        }
    };
    let events = inspector
        .ask_and("Tell me all.", long, on_event)
        .await
        .unwrap();
    assert_eq!(reason(&events), "cancelled");
}

#[wasm_bindgen_test]
async fn events_are_as_the_protocol_says() {
    let inspector = Server::new("protocol", []).open("cpu").await.unwrap();
    let weights = of_kind(&inspector.loading, "progress");
    let last = weights
        .iter()
        .rfind(|event| text(event, "stage") == "weights");
    let last = last.unwrap();
    assert!(number(last, "done") > 0.0);
    assert_eq!(number(last, "done"), number(last, "total"));

    let query = json!({ "ask": { "question": "What is it?" }, "threshold": 0.25 });
    let events = inspector.inspect(COINS, query).await.unwrap();
    let mask = &of_kind(&events, "mask")[0];
    assert_eq!(
        (number(mask, "width"), number(mask, "height")),
        (384.0, 303.0)
    );
    let values = map(&events);
    assert_eq!(values.len(), 384 * 303);
    assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));

    let result: serde_json::Value = from_js(of_kind(&events, "result").pop().unwrap());
    let threshold = result["threshold"].as_f64().unwrap();
    let is_anomalous = result["score"].as_f64().unwrap() >= threshold;
    assert_eq!(threshold, 0.25);
    assert_eq!(result["anomalous"], is_anomalous);
    assert_eq!(result["answer"], words(&events).concat());
    assert_eq!(result["device"], "CPU");
    assert!(result["mapThreshold"].is_number() && result["segProduced"].is_boolean());
    assert!(result["regions"].is_array());
    let timings: Vec<(String, f64)> = serde_json::from_value(result["timings"].clone()).unwrap();
    let stages: Vec<&str> = timings.iter().map(|(stage, _)| stage.as_str()).collect();
    assert!(stages.starts_with(&["decode", "prior", "clip", "projector", "sam"]));
    assert!(timings.iter().all(|(_, ms)| *ms >= 0.0));
}

#[wasm_bindgen_test]
async fn a_cancelled_answer_leaves_the_session_usable() {
    let inspector = Server::new("cancel", []).open("cpu").await.unwrap();
    let query = json!({ "ask": "none" });
    let events = inspector.inspect(COINS, query).await.unwrap();
    assert_eq!(reason(&events), "end");

    cancel_at_first_token(&inspector).await;
    let short = json!({ "maxNewTokens": 8 });
    let events = inspector.ask("Is it deep?", short).await.unwrap();
    assert_ne!(reason(&events), "cancelled");
    assert!(!words(&events).is_empty());
}

#[wasm_bindgen_test]
async fn thresholds_come_from_photographs_requested_one_by_one() {
    let inspector = Server::new("calibrate", []).open("cpu").await.unwrap();
    inspector.inspect(COINS, json!({})).await.unwrap();
    let photos = [
        ("coins.png", false, Some(COINS)),
        ("gone.png", false, None),
        ("coffee.jpg", false, Some(COFFEE)),
    ];
    let options = json!({ "object": "coin", "quantile": 0.5 });
    let events = inspector.calibrate(&photos, options).await.unwrap();
    let kinds: Vec<_> = events.iter().map(|event| text(event, "kind")).collect();
    assert_eq!(
        kinds,
        ["scored", "skipped", "scored", "calibration", "done"]
    );
    assert_eq!(text(&events[1], "code"), "file-unreadable");
    let found: serde_json::Value = from_js(events[3].clone());
    assert_eq!(
        (&found["nGood"], &found["nSkipped"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(found["image"]["method"]["kind"], "quantile");
    assert_eq!(found["image"]["method"]["nNeeded"], 1);
    assert_eq!(found["scores"][1]["name"], "coffee.jpg");

    // The thresholds of a query are used, and the conversation is unchanged.
    let (image, pixel) = (&found["image"]["threshold"], &found["pixel"]["threshold"]);
    let answer = inspector.ask("Why?", json!({ "maxNewTokens": 2 })).await;
    assert_ne!(reason(&answer.unwrap()), "cancelled");
    let query = json!({ "object": "coin", "threshold": image, "mapThreshold": pixel });
    let events = inspector.inspect(COINS, query).await.unwrap();
    let result: serde_json::Value = from_js(of_kind(&events, "result").pop().unwrap());
    assert_eq!(
        (&result["threshold"], &result["mapThreshold"]),
        (image, pixel)
    );
    for (photos, options, expected) in [
        (&photos[1..2], json!({}), "no-good-part"),
        (&photos[..1], json!({ "quantile": 1 }), "bad-query"),
        (&photos[..1], json!({ "quantile": "high" }), "bad-query"),
    ] {
        let result = inspector.calibrate(photos, options).await;
        assert_eq!(code(result), expected);
    }
}

#[wasm_bindgen_test]
async fn device_and_report_say_what_runs() {
    let server = Server::new("device", []);
    let inspector = server.open("cpu").await.unwrap();
    assert_eq!(inspector.device()["reason"], "requested");
    assert_eq!(inspector.device()["name"], "CPU (WebAssembly SIMD)");
    assert!(inspector.device()["adapter"].is_null());
    inspector.inspect(COINS, json!({})).await.unwrap();
    let report: serde_json::Value = from_js(inspector.inner.report().unwrap());
    assert!(report["hostBytes"].as_u64().unwrap() > 1 << 20);
    assert!(report["deviceBytes"].is_null());
    assert!(!report["loading"].as_array().unwrap().is_empty());
    assert!(!report["timings"].as_array().unwrap().is_empty());

    if !has_gpu().await {
        return;
    }
    let inspector = server.open("gpu").await.unwrap();
    assert_eq!(inspector.device()["reason"], "requested");
    let report: serde_json::Value = from_js(inspector.inner.report().unwrap());
    assert!(report["deviceBytes"].as_u64().unwrap() > 1 << 17);

    // A software adapter is reported but not chosen.
    let device = server.open("auto").await.unwrap().device();
    let adapter = device["adapter"].as_str().unwrap().to_lowercase();
    console_log!("auto: {device}");
    if adapter.contains("swiftshader") || adapter.contains("software") {
        assert_eq!(device["kind"], "cpu");
        assert_eq!(device["reason"], "software-gpu");
    } else {
        assert_eq!(device["kind"], "gpu");
        assert_eq!(device["reason"], "hardware-gpu");
    }
}
