//! The JSON form of queries.

use serde_json::json;

use super::*;

#[test]
fn queries_have_the_form_that_the_page_sends() -> Result<(), serde_json::Error> {
    let query: Query = serde_json::from_value(json!({
        "object": "bolt",
        "ask": {"question": "What is it?"},
        "generation": {"maxNewTokens": 5, "topP": 0.5, "repetitionPenalty": 1.1},
    }))?;
    assert_eq!(query.ask, Ask::Free("What is it?".to_owned()));
    assert_eq!(query.generation.max_new_tokens, 5);
    let query: Query = serde_json::from_value(json!({"ask": "impact"}))?;
    assert_eq!(
        query,
        Query {
            ask: Ask::Impact,
            ..Query::default()
        }
    );
    assert_eq!(
        serde_json::to_value(StopReason::Cancelled)?,
        json!("cancelled")
    );
    Ok(())
}
