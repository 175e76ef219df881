//! The `wgrad` command: trains the demos, measures and checks devices, shows what the compiler makes.
//!
//! Each subcommand is a module with a function `run`. They print through [`output::Output`], which is either text for
//! people or JSON lines, and they fail with a [`failure::Failure`]: one line on stderr and exit status 1. Wrong usage is
//! clap's affair and gives 2.
//!
//! All of it is a library that `main` only calls, so that it compiles beside wgrad and not after it.

mod bench;
mod check;
mod compiling;
mod device;
mod devices;
mod failure;
mod files;
mod inspect;
mod interrupt;
#[cfg(test)]
#[path = "../../tests/support/mutated_files.rs"]
mod mutated_files;
mod onnx;
mod output;
mod predict;
mod quiet;
#[cfg(test)]
mod shaders;
mod train;
mod tune;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use failure::Failure;
use output::Output;
#[cfg(test)]
use wgrad::scalar::threefry::HostRandom;

/// A deep-learning engine that trains and runs neural networks on any GPU, and on the CPU.
#[derive(Parser)]
#[command(name = "wgrad", version, about, max_term_width = 110)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    everywhere: Everywhere,
}

/// What every subcommand takes.
#[derive(Args, Clone, Debug)]
struct Everywhere {
    /// What to run on: auto (a hardware GPU, else the CPU), cpu, gpu (any, software too), part of an adapter's name, or its
    /// number in `devices`
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE")]
    device: String,
    /// Where all random numbers come from
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// JSON lines on stdout, and nothing else there
    #[arg(long, global = true)]
    json: bool,
    /// Say more
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Subcommand)]
enum Command {
    /// List the adapters and the CPU, with what they can do
    Devices,
    /// Train a demo, and see it learn
    Train(Box<train::Arguments>),
    /// Ask a model that `train --save` wrote
    Predict(predict::Arguments),
    /// Measure kernels and training steps
    Bench(bench::Arguments),
    /// Find the fastest kernels for a device, and remember them
    Tune(tune::Arguments),
    /// Compare every kernel with the CPU on random and awkward inputs
    Check(check::Arguments),
    /// Show what the compiler makes of a demo's model
    Inspect(inspect::Arguments),
    /// Run an ONNX model on inputs from a file
    Run(onnx::run::Arguments),
    /// Differentiate an ONNX model: a vector-Jacobian product
    Grad(onnx::gradient::Arguments),
    /// Go on training an ONNX model
    Fit(onnx::fit::Arguments),
    /// Say what an ONNX model is made of
    Info(onnx::info::Arguments),
}

/// Does what the command line says.
pub fn run() -> ExitCode {
    quiet::hush_drivers();
    // Who runs the command has not written the lines that its graphs come from.
    wgrad::error::omit_lines();
    let line = CommandLine::parse();
    let everywhere = line.everywhere;
    let mut output = Output::new(everywhere.json);
    // A panic is a mistake of ours. Whoever meets one still gets a line that can be reported, and status 1.
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("error: wgrad has a mistake in it, please report: {}", panic.to_string().replace('\n', ": "));
    }));
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match line.command {
        Command::Devices => devices::run(&mut output),
        Command::Train(arguments) => train::run(&arguments, &everywhere, &mut output),
        Command::Predict(arguments) => predict::run(&arguments, &everywhere, &mut output),
        Command::Bench(arguments) => bench::run(&arguments, &everywhere, &mut output),
        Command::Tune(arguments) => tune::run(&arguments, &everywhere, &mut output),
        Command::Check(arguments) => check::run(&arguments, &everywhere, &mut output),
        Command::Inspect(arguments) => inspect::run(&arguments, &everywhere, &mut output),
        Command::Run(arguments) => onnx::run::run(&arguments, &everywhere, &mut output),
        Command::Grad(arguments) => onnx::gradient::run(&arguments, &everywhere, &mut output),
        Command::Fit(arguments) => onnx::fit::run(&arguments, &everywhere, &mut output),
        Command::Info(arguments) => onnx::info::run(&arguments, &mut output),
    }));
    match done {
        Ok(Ok(())) | Ok(Err(Failure::Closed)) => ExitCode::SUCCESS,
        Ok(Err(Failure::Told)) | Err(_) => ExitCode::FAILURE,
        Ok(Err(Failure::Message(message))) => {
            // Errors of libraries may span lines; the contract is one.
            let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            eprintln!("error: {}", lines.join(" "));
            ExitCode::FAILURE
        }
    }
}
