//! The `vmad` command: the engine, the data generator, training and evaluation on a terminal.
//!
//! Results go to standard output, everything else to standard error. The exit status is 0 if the command
//! succeeded, whatever the verdict; 2 for bad usage; 1 for a failure.

mod args;
mod baseline;
mod bench;
mod calibrate;
mod chat;
mod dataset;
mod eval;
mod files;
mod inspect;
mod interrupt;
mod nano;
mod package;
mod progress;
mod references;
mod reproduce;
mod session;
mod synth;
mod text;
mod thresholds;
mod trace;
mod train;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

const EXAMPLES: &str = "Examples:
  vmad inspect models/tiny photo.jpg --object bolt --ask description
  vmad chat models/tiny photo.jpg
  vmad synth /tmp/scenes --seed 1 --count 200 --split unseen
  vmad eval models/tiny /tmp/scenes --json

`vmad COMMAND --help` explains a command.";

/// Visual anomaly inspection: a photograph in, a mask, a score and an answer out.
#[derive(Debug, Parser)]
#[command(name = "vmad", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inspect(inspect::InspectArgs),
    Chat(chat::ChatArgs),
    Synth(synth::SynthArgs),
    Train(train::TrainArgs),
    Calibrate(calibrate::CalibrateArgs),
    Eval(eval::EvalArgs),
    Baseline(baseline::BaselineArgs),
    Reproduce(reproduce::ReproduceArgs),
    Package(package::PackageArgs),
    Bench(bench::BenchArgs),
    Nano(nano::NanoArgs),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Inspect(args) => inspect::run(args),
        Command::Chat(args) => chat::run(args),
        Command::Synth(args) => synth::run(args),
        Command::Train(args) => train::run(args),
        Command::Calibrate(args) => calibrate::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Baseline(args) => baseline::run(args),
        Command::Reproduce(args) => reproduce::run(args),
        Command::Package(args) => package::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Nano(args) => nano::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader closed the pipe: no message can reach it.
        Err(error) if text::is_broken_pipe(&error) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {}", text::plain(&format!("{error:#}")));
            match error.downcast_ref::<args::Usage>() {
                Some(_) => ExitCode::from(2),
                None => ExitCode::FAILURE,
            }
        }
    }
}
