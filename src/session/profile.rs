//! How the time of a run is spent: kernel by kernel on the device, and on the host.

use std::fmt;

use serde_json::{Value, json};

use super::Session;
use crate::compiler::Program;
use crate::error::{Origin, Result};
use crate::tensor::TensorData;

/// Runs before anything is measured: the first ones compile, and touch memory for the first time.
const WARM_UP: usize = 2;

/// What a step of a program took.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfiledStep {
    /// The operators that are in it.
    pub label: String,
    /// The kernels that it is made of; empty on the CPU.
    pub kernels: Vec<String>,
    /// The user's line that its last operator came from, and the layer.
    pub origin: Origin,
    /// Seconds on the device.
    pub seconds: f64,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes read and written at the least.
    pub bytes: u64,
}

/// One run of a program, measured. Printed as a table, the longest step first; [`chrome_trace`](Self::chrome_trace) is for
/// `chrome://tracing` and Perfetto.
///
/// ```
/// use wgrad::prelude::*;
///
/// let g = Graph::new();
/// let x = g.input("x", [64, 100], F32);
/// g.output("y", &x.matmul(&x.transpose(0, 1)).relu());
/// let mut session = g.compile(&Device::cpu())?;
/// let profile = session.profile(&[("x", &TensorData::zeros(F32, [64, 100]))])?;
/// assert!(profile.steps.iter().any(|step| step.label.contains("matmul")));
/// println!("{profile}");
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The device's name.
    pub device: String,
    /// The steps, in the order in which they run. Each is measured by itself, so that their sum may be more than a run takes.
    pub steps: Vec<ProfiledStep>,
    /// Seconds that the host spends to submit a run to the device (on the CPU: that it takes).
    pub host: f64,
    /// Seconds from the call to the end of all work, of an ordinary run.
    pub run: f64,
}

impl Session {
    /// Measures a program: a few ordinary runs as a whole, then one with each step by itself. They are real runs, so a training program
    /// trains.
    ///
    /// # Errors
    /// Inputs that do not fit; a device that fails or was lost.
    pub fn profile(&mut self, inputs: &[(&str, &TensorData)]) -> Result<Profile> {
        for _ in 0..WARM_UP {
            self.step(inputs)?;
        }
        self.device().wait_idle()?;
        let start = crate::clock::Instant::now();
        self.step(inputs)?;
        let host = start.elapsed().as_secs_f64();
        self.device().wait_idle()?;
        let run = start.elapsed().as_secs_f64();
        let counts = self.counts(true)?;
        let (hidden, mut all) = self.inputs(inputs, &counts)?;
        all.extend(hidden.iter().map(|(port, bytes)| (*port, bytes.as_slice())));
        let program = self.program().clone();
        let times = self.programs.get_mut(&program)?.runner.profile(&mut self.store, &all)?;
        self.count(counts);
        let steps = times.into_iter().filter_map(|(step, seconds)| measured(&program, step, seconds)).collect();
        Ok(Profile { device: self.device().name(), steps, host, run })
    }

    /// Runs a program `repetitions` times with the same inputs and returns the seconds that all of it took by the device's own clock: no
    /// time of the host's is in it. `None`, and nothing was run, where the device has no clock: the CPU, and adapters without
    /// timestamps. They are real runs with the numbers of one step, which is counted where the program updates parameters.
    ///
    /// ```
    /// use wgrad::prelude::*;
    ///
    /// let g = Graph::new();
    /// let x = g.input("x", [64, 64], F32);
    /// g.output("y", &x.matmul(&x));
    /// let mut session = g.compile(&Device::cpu())?;
    /// let seconds = session.time_runs(&[("x", &TensorData::zeros(F32, [64, 64]))], 10)?;
    /// assert_eq!(seconds, None); // Wall time is the only one that a CPU has.
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Inputs that do not fit; a device that fails or was lost.
    pub fn time_runs(&mut self, inputs: &[(&str, &TensorData)], repetitions: usize) -> Result<Option<f64>> {
        let counts = self.counts(false)?;
        let (hidden, mut all) = self.inputs(inputs, &counts)?;
        all.extend(hidden.iter().map(|(port, bytes)| (*port, bytes.as_slice())));
        let program = self.program().clone();
        let loaded = self.programs.get_mut(&program)?;
        let seconds = loaded.runner.time_runs(&all, repetitions)?;
        if seconds.is_some() && repetitions > 0 {
            loaded.has_run = true;
            self.count(counts);
        }
        Ok(seconds)
    }
}

fn measured(program: &Program, step: usize, seconds: f64) -> Option<ProfiledStep> {
    let step = program.steps.get(step)?;
    let kernel = |number: usize| program.kernels.get(number).map(|kernel| kernel.label.clone());
    Some(ProfiledStep {
        label: step.label.clone(),
        kernels: step.dispatches.iter().filter_map(|dispatch| kernel(dispatch.kernel)).collect(),
        origin: step.origin,
        seconds,
        flops: step.flops,
        bytes: step.bytes,
    })
}

impl ProfiledStep {
    /// 10⁹ floating-point operations a second.
    pub fn gflops(&self) -> f64 {
        self.flops as f64 / self.seconds.max(1e-9) * 1e-9
    }

    /// 10⁹ bytes a second, of those that must be moved at the least.
    pub fn gbytes_per_s(&self) -> f64 {
        self.bytes as f64 / self.seconds.max(1e-9) * 1e-9
    }
}

impl Profile {
    /// Seconds of all steps.
    pub fn steps_total(&self) -> f64 {
        self.steps.iter().map(|step| step.seconds).sum()
    }

    /// The run as a trace in Chrome's JSON format: the device's steps one after the other on one track, the host's part on another.
    pub fn chrome_trace(&self) -> String {
        const HOST: u32 = 1;
        const DEVICE: u32 = 2;
        let micros = |seconds: f64| seconds * 1e6;
        let name = |track: u32, name: &str| json!({"name": "thread_name", "ph": "M", "pid": 1, "tid": track, "args": {"name": name}});
        let mut events: Vec<Value> = vec![
            json!({"name": "process_name", "ph": "M", "pid": 1, "args": {"name": "wgrad"}}),
            name(HOST, "host"),
            name(DEVICE, &self.device),
            json!({"name": "submit", "cat": "host", "ph": "X", "pid": 1, "tid": HOST, "ts": 0.0, "dur": micros(self.host)}),
        ];
        let mut at = 0.0;
        for step in &self.steps {
            events.push(json!({
                "name": step.label, "cat": "step", "ph": "X", "pid": 1, "tid": DEVICE, "ts": micros(at), "dur": micros(step.seconds),
                "args": {
                    "kernels": step.kernels, "line": step.origin.to_string(), "layer": step.origin.layer(), "flops": step.flops, "bytes": step.bytes,
                    "gflops": step.gflops(), "gbytes_per_s": step.gbytes_per_s(),
                },
            }));
            at += step.seconds;
        }
        json!({"displayTimeUnit": "ms", "traceEvents": events}).to_string()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.steps_total().max(1e-12);
        let milliseconds = |seconds: f64| seconds * 1e3;
        writeln!(
            formatter,
            "{}: a run takes {:.3} ms, {:.3} ms of it on the host; its steps by themselves {:.3} ms",
            self.device,
            milliseconds(self.run),
            milliseconds(self.host),
            milliseconds(total)
        )?;
        writeln!(formatter, "{:>10} {:>6} {:>9} {:>8}  step", "ms", "share", "GFLOP/s", "GB/s")?;
        let mut order: Vec<&ProfiledStep> = self.steps.iter().collect();
        order.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        for step in order {
            writeln!(
                formatter,
                "{:>10.3} {:>5.1}% {:>9.1} {:>8.1}  {}  {}  {}",
                milliseconds(step.seconds),
                100.0 * step.seconds / total,
                step.gflops(),
                step.gbytes_per_s(),
                step.label,
                step.kernels.join(", "),
                step.origin
            )?;
        }
        Ok(())
    }
}
