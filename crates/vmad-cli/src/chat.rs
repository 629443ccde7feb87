//! `vmad chat`.

use std::io::{BufRead, IsTerminal, Read};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use vmad_engine::{
    Ask, Engine, EngineError, Event, EventStream, Generation, InspectionOutcome, Query, StopReason,
};

use crate::args::{self, AnswerLength, DeviceArg, PartArgs};
use crate::files::read_photo;
use crate::interrupt::CurrentCall;
use crate::session;
use crate::text::{plain, print, print_line};

const HELP: &str = "Example:
  vmad chat models/tiny photo.jpg --object bolt
  > Is the part OK?
  > Where is the defect?

Ctrl-C stops the answer that is being written, Ctrl-D ends the conversation. Questions may also come
through a pipe, one a line.";

/// Maximum bytes of a question; a longer line becomes several questions.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// Inspect a photograph, then ask about it, question after question
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ChatArgs {
    /// Folder of the model package, the one with model.json
    package: PathBuf,
    /// The photograph: PNG, JPEG, WebP, BMP or TIFF
    image: PathBuf,
    #[command(flatten)]
    part: PartArgs,
    /// Device to compute on
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceArg,
    #[command(flatten)]
    length: AnswerLength,
    /// 0 takes the likeliest token each time; higher values give more varied answers
    #[arg(long, value_name = "X", default_value = "0", value_parser = args::finite)]
    temperature: f32,
    /// Seed of the sampling: the same seed gives the same answer
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

pub(crate) fn run(args: ChatArgs) -> Result<()> {
    let photo = read_photo(&args.image)?;
    let call = CurrentCall::listen()?;
    let mut engine = session::open(&args.package, args.device, &call.begin())?;
    call.end();
    eprintln!("Computing on {}.", plain(&engine.device().to_string()));

    let generation = Generation {
        temperature: args.temperature,
        seed: args.seed,
        ..args.length.generation(None)
    };
    let query = Query {
        object: args.part.object,
        normal: args.part.normal,
        ask: Ask::Description,
        generation: generation.clone(),
        ..Query::default()
    };
    let cancel = call.begin();
    let outcome = show(engine.inspect(photo, query, &cancel));
    call.end();
    outcome.with_context(|| args.image.display().to_string())?;
    converse(&mut engine, &generation, &call)
}

/// Reads questions to the end of the input. A question that cannot be answered is not the end.
fn converse(engine: &mut Engine, generation: &Generation, call: &CurrentCall) -> Result<()> {
    let is_interactive = std::io::stdin().is_terminal();
    loop {
        if is_interactive {
            print("> ")?;
        }
        let mut line = Vec::new();
        let mut input = std::io::stdin().lock().take(MAX_LINE_BYTES);
        if input
            .read_until(b'\n', &mut line)
            .context("reading a question")?
            == 0
        {
            return if is_interactive {
                print_line("")
            } else {
                Ok(())
            };
        }
        let question = String::from_utf8_lossy(&line);
        if question.trim().is_empty() {
            continue;
        }
        let cancel = call.begin();
        let outcome = show(engine.ask(question.trim(), generation.clone(), &cancel));
        call.end();
        match outcome {
            Ok(_) => {}
            Err(error) if is_over(&error) => return Err(error),
            Err(error) => eprintln!("error: {}", plain(&format!("{error:#}"))),
        }
    }
}

/// True if no further question can be answered or printed.
fn is_over(error: &anyhow::Error) -> bool {
    crate::text::is_broken_pipe(error)
        || error
            .downcast_ref::<EngineError>()
            .is_some_and(EngineError::is_fatal)
}

/// Prints each new verdict, and the words as they arrive.
fn show(events: EventStream<'_>) -> Result<InspectionOutcome> {
    let mut shown = None;
    let mut is_midline = false;
    let result = session::follow(events, |event| match event {
        Event::Token { text: words } => {
            is_midline = true;
            print(&plain(words))
        }
        Event::Result(verdict) if shown == Some(verdict.score) => Ok(()),
        Event::Result(verdict) => {
            shown = Some(verdict.score);
            let word = if verdict.anomalous { "NOT OK" } else { "OK" };
            let lead = if std::mem::take(&mut is_midline) {
                "\n"
            } else {
                ""
            };
            print_line(&format!(
                "{lead}[{word}: score {:.3}, threshold {:.3}, regions {}]",
                verdict.score,
                verdict.threshold,
                verdict.regions.len()
            ))
        }
        Event::Progress { .. } | Event::Mask { .. } | Event::Done { .. } => Ok(()),
    });
    if is_midline {
        print_line("")?;
    }
    let outcome = result?;
    match outcome.reason {
        Some(StopReason::Cancelled) => eprintln!("(stopped)"),
        Some(StopReason::Length) => eprintln!("(the answer reached its length limit)"),
        Some(StopReason::End | StopReason::Stop) | None => {}
    }
    Ok(outcome)
}
