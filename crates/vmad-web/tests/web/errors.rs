//! Each refused input has its error code, and the session stays usable.

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::browser::{Answer, COFFEE, COINS, Server, code, file, reason};

/// A 24-bit BMP with this size in its header and `pixel_bytes` bytes of pixels.
fn bmp(width: u32, height: u32, pixel_bytes: usize) -> Vec<u8> {
    const HEADER_BYTES: u32 = 54;
    let words = [
        HEADER_BYTES + pixel_bytes as u32,
        0,
        HEADER_BYTES,
        40,
        width,
        height,
        1 | 24 << 16,
    ];
    let mut bytes = b"BM".to_vec();
    bytes.extend(words.into_iter().flat_map(u32::to_le_bytes));
    bytes.resize(HEADER_BYTES as usize + pixel_bytes, 0);
    bytes
}

#[wasm_bindgen_test]
async fn photographs() {
    let inspector = Server::new("photographs", []).open("cpu").await.unwrap();
    inspector.inspect(COINS, json!({})).await.unwrap();
    for (photo, expected) in [
        (Vec::new(), "not-an-image"),
        (
            b"These are notes, not a photograph.".to_vec(),
            "not-an-image",
        ),
        (COFFEE[..COFFEE.len() / 3].to_vec(), "image-damaged"),
        (bmp(20_000, 20_000, 0), "image-too-large"),
    ] {
        let result = inspector.inspect(&photo, json!({})).await;
        assert_eq!(code(result), expected, "{} bytes", photo.len());
        let answer = inspector.ask("Why?", json!({ "maxNewTokens": 2 })).await;
        assert_ne!(reason(&answer.unwrap()), "cancelled");
    }
    let events = inspector.inspect(&bmp(1, 1, 4), json!({})).await.unwrap();
    assert_eq!(reason(&events), "end");
}

#[wasm_bindgen_test]
async fn questions_and_settings() {
    let inspector = Server::new("questions", []).open("cpu").await.unwrap();
    let result = inspector.ask("Why?", Value::Null).await;
    assert_eq!(code(result), "no-image");
    let long = "why ".repeat(25_000);
    for (query, expected) in [
        (json!({ "ask": { "question": " " } }), "question-empty"),
        (json!({ "ask": { "question": long } }), "question-too-long"),
        (json!({ "normal": long }), "question-too-long"),
        (json!({ "ask": "colour" }), "bad-query"),
        (json!({ "threshold": "high" }), "bad-query"),
        (json!({ "generation": { "temperature": -1 } }), "bad-query"),
        (json!({ "generation": { "maxNewTokens": -1 } }), "bad-query"),
    ] {
        let result = inspector.inspect(COINS, query.clone()).await;
        let shown: String = query.to_string().chars().take(60).collect();
        assert_eq!(code(result), expected, "{shown}");
    }
    inspector.inspect(COINS, json!({})).await.unwrap();
    for (question, expected) in [("", "question-empty"), (&long, "question-too-long")] {
        let result = inspector.ask(question, json!({})).await;
        assert_eq!(code(result), expected);
    }
    let answer = inspector.ask("Why?", json!({ "maxNewTokens": 2 })).await;
    assert_ne!(reason(&answer.unwrap()), "cancelled");
}

#[wasm_bindgen_test]
async fn packages() {
    let (shard, bytes) = file("weights-00002");
    let mut altered = bytes.clone();
    *altered.last_mut().unwrap() ^= 1;
    let mut longer = bytes.clone();
    longer.extend([0; 100_000]);
    let cut = bytes[..bytes.len() / 2].to_vec();
    let (manifest, json) = file("model.json");
    let mut unknown: Value = serde_json::from_slice(&json).unwrap();
    unknown["version"] = json!(999);

    for (name, file, answer, expected) in [
        ("missing", &shard, Answer::Status(404), "package-missing"),
        ("refused", &shard, Answer::Status(503), "network"),
        ("offline", &shard, Answer::Offline, "network"),
        ("altered", &shard, Answer::File(altered), "package-damaged"),
        ("cut", &shard, Answer::File(cut), "package-damaged"),
        ("longer", &shard, Answer::File(longer), "package-damaged"),
        (
            "no-manifest",
            &manifest,
            Answer::Status(404),
            "package-missing",
        ),
        (
            "no-json",
            &manifest,
            Answer::File(b"<!doctype html>".to_vec()),
            "package-damaged",
        ),
        (
            "version",
            &manifest,
            Answer::File(unknown.to_string().into_bytes()),
            "package-version",
        ),
    ] {
        let server = Server::new(name, [(file.clone(), answer)]);
        assert_eq!(code(server.open("cpu").await), expected, "{name}");
    }
    let server = Server::new("whole", []);
    assert_eq!(code(server.open("tpu").await), "bad-query");
    assert!(server.open("cpu").await.is_ok());
}
