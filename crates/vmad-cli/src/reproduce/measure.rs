//! Quality, size and speed of a trained package.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use vmad_data::{OnBadImage, PhotoLoader, Record, read_dataset};
use vmad_engine::{Ask, CancelToken, Engine, Query, Stage};
use vmad_eval::{EvalOptions, Report};

use crate::args::{AnswerLength, DeviceArg};
use crate::bench::median;
use crate::dataset::OpenDataset;
use crate::eval::{Plan, evaluate};
use crate::files::{read_manifest, read_photo};
use crate::interrupt::Stop;
use crate::session;

/// Limit of an answer whose speed is measured.
const TIMED_TOKENS: usize = 64;

/// Quality, size and speed of a package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    /// Number of visual tokens in the prompt.
    pub n_visual: usize,
    /// Weights of the projector.
    pub projector_weights: u64,
    /// Speed of its answers.
    pub speed: Speed,
    /// The report of `vmad eval`.
    pub report: Report,
}

/// Speed of a model's answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Speed {
    /// Projector, and language model over the prompt: median milliseconds.
    pub prefill_ms: f64,
    /// Tokens per second after the prefill; `None` if all answers are empty.
    pub decode_tokens_per_second: Option<f64>,
    /// Tokens per second of an answer, prefill included.
    pub answer_tokens_per_second: Option<f64>,
}

/// Inspects the photographs in `data` with the package.
pub(super) fn measure(
    package: &Path,
    data: &Path,
    n_timed: usize,
    device: DeviceArg,
    stop: &Stop,
) -> Result<Measured> {
    let mut dataset = OpenDataset {
        records: read_dataset(data, None)?.records,
        loader: PhotoLoader::new(OnBadImage::Fail),
    };
    let records = &dataset.records;
    let mut engine = session::open(package, device, &CancelToken::new())?;
    let timed = records.get(..n_timed).unwrap_or(records);
    let speed = speed(&mut engine, timed, stop)?;
    let plan = Plan {
        ask: &[Ask::Description],
        length: AnswerLength {
            max_new_tokens: None,
        },
        // No bootstrap: the tables give the deviation over seeds.
        options: EvalOptions::default(),
    };
    let report = evaluate(&plan, &mut engine, &mut dataset, None, stop, &mut |_, _| {
        Ok(())
    })?;
    let manifest = read_manifest(package)?;
    let of_projector = |name: &str| name.starts_with("projector.") || name.starts_with("ltc.");
    let tensors = manifest.tensors().iter();
    let tensors = tensors.filter(|tensor| of_projector(&tensor.name));
    Ok(Measured {
        n_visual: engine.config().projector.n_visual(),
        projector_weights: tensors
            .map(|tensor| tensor.shape.iter().product::<usize>() as u64)
            .sum(),
        speed,
        report,
    })
}

/// Speed of the package's answers about the first `n_timed` photographs in `data`.
pub(super) fn time(
    package: &Path,
    data: &Path,
    n_timed: usize,
    device: DeviceArg,
    stop: &Stop,
) -> Result<Speed> {
    let records = read_dataset(data, None)?.records;
    let timed = records.get(..n_timed).unwrap_or(&records);
    let mut engine = session::open(package, device, &CancelToken::new())?;
    speed(&mut engine, timed, stop)
}

/// Milliseconds and tokens of an answer.
struct Answer {
    prefill_ms: f64,
    generate_ms: f64,
    n_tokens: usize,
}

fn speed(engine: &mut Engine, records: &[Record], stop: &Stop) -> Result<Speed> {
    let mut answers = Vec::new();
    for record in records {
        if stop.is_requested() {
            bail!("stopped while measuring speed");
        }
        let answer = answer(engine, record);
        answers.push(answer.with_context(|| record.path.display().to_string())?);
    }
    Ok(speed_of(&answers))
}

fn speed_of(answers: &[Answer]) -> Speed {
    let n_tokens: usize = answers.iter().map(|answer| answer.n_tokens).sum();
    let sum = |ms: fn(&Answer) -> f64| answers.iter().map(ms).sum::<f64>() / 1e3;
    let (prefill_secs, generate_secs) = (sum(|a| a.prefill_ms), sum(|a| a.generate_ms));
    let per_second = |secs: f64| (n_tokens > 0 && secs > 0.0).then(|| n_tokens as f64 / secs);
    Speed {
        prefill_ms: median(answers.iter().map(|answer| answer.prefill_ms).collect()),
        decode_tokens_per_second: per_second(generate_secs),
        answer_tokens_per_second: per_second(prefill_secs + generate_secs),
    }
}

/// Generates the description of a photograph twice: first with a trace, which gives the length of the
/// prompt and warms up, then for the timings.
fn answer(engine: &mut Engine, record: &Record) -> Result<Answer> {
    let length = AnswerLength {
        max_new_tokens: None,
    };
    let query = Query {
        object: Some(record.object.clone()),
        ask: Ask::Description,
        generation: length.generation(Some(TIMED_TOKENS)),
        ..Query::default()
    };
    let photo = read_photo(&record.path)?;
    let inspect = |engine: &mut Engine| {
        let events = engine.inspect(photo.clone(), query.clone(), &CancelToken::new());
        session::finish(events)
    };
    engine.start_trace();
    inspect(engine)?;
    let trace = engine
        .take_trace()
        .context("the engine recorded no trace")?;
    let ids = trace.get("llm.input_ids").context("the trace has no ids")?;
    let n_ids: usize = ids.shape.iter().product();
    let (_, verdict) = inspect(engine)?;

    let config = engine.config();
    // One id of the prompt is the image sentinel, which the visual tokens replace.
    let n_prompt = n_ids + config.projector.n_visual() - 1;
    let llm = &config.llm;
    let position_bytes = 2 * llm.n_layers * llm.n_kv_heads * llm.d_head() * size_of::<f32>();
    let n_positions = engine.report().memory.kv_cache_bytes as usize / position_bytes;
    let ms = |wanted: &[Stage]| -> f64 {
        let stages = verdict.timings.iter();
        let stages = stages.filter(|(stage, _)| wanted.contains(stage));
        stages.map(|(_, ms)| ms).sum()
    };
    Ok(Answer {
        prefill_ms: ms(&[Stage::Projector, Stage::Llm]),
        generate_ms: ms(&[Stage::Generate]),
        n_tokens: n_positions.saturating_sub(n_prompt),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_over_all_answers() {
        let answer = |prefill_ms, generate_ms, n_tokens| Answer {
            prefill_ms,
            generate_ms,
            n_tokens,
        };
        let speed = speed_of(&[answer(100.0, 400.0, 30), answer(300.0, 200.0, 10)]);
        assert_eq!(
            speed,
            Speed {
                prefill_ms: 200.0,
                decode_tokens_per_second: Some(40.0 / 0.6),
                answer_tokens_per_second: Some(40.0),
            }
        );
        assert_eq!(
            speed_of(&[answer(5.0, 1.0, 0)]).decode_tokens_per_second,
            None
        );
    }
}
