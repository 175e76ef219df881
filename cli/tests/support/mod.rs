//! Drives the binary as a user would.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

pub mod picture;

/// The command with its arguments, on the CPU, away from whatever terminal the tests run in.
pub fn wgrad(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wgrad"));
    command.args(arguments).stdin(Stdio::null());
    // What somebody tuned on this machine is no matter here.
    command.env("WGRAD_NO_TUNING", "1");
    // The choice of device is not what these tests are about; the CPU is there everywhere.
    if !arguments.contains(&"--device") {
        command.args(["--device", "cpu"]);
    }
    command
}

/// Runs it to its end.
pub fn run(arguments: &[&str]) -> Output {
    match wgrad(arguments).output() {
        Ok(output) => output,
        Err(error) => panic!("wgrad {arguments:?} does not start: {error}"),
    }
}

/// Stdout of a run that must end well.
pub fn succeed(arguments: &[&str]) -> String {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "wgrad {arguments:?}: {} {stderr}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The events of a run that must end well; every line must be one.
pub fn events(arguments: &[&str]) -> Vec<Value> {
    let stdout = succeed(&[arguments, &["--json"]].concat());
    stdout
        .lines()
        .map(|line| match serde_json::from_str::<Value>(line) {
            Ok(event) if event["event"].is_string() => event,
            other => panic!("not an event: {line:?} ({other:?})"),
        })
        .collect()
}

/// Those of one kind.
pub fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

/// The only line of stderr of a run that must fail with status 1, and print nothing but whole events.
pub fn fail(arguments: &[&str]) -> String {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "wgrad {arguments:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "wgrad {arguments:?} says: {stderr}");
    assert!(stderr.starts_with("error: ") && !stderr.contains("panicked"), "{stderr}");
    stderr.trim_end().to_owned()
}

/// True where there is an adapter, be it a software driver's; fails where `WGRAD_REQUIRE_GPU` asks for one that is not there.
pub fn has_gpu() -> bool {
    static GPU: OnceLock<bool> = OnceLock::new();
    *GPU.get_or_init(|| {
        // OpenGL in software is no choice of `--device gpu`.
        let usable =
            |event: &Value| event["backend"] != "cpu" && (event["backend"] != "gl" || event["kind"] != "software");
        let found = events(&["devices"]).iter().any(usable);
        assert!(found || std::env::var_os("WGRAD_REQUIRE_GPU").is_none(), "a GPU is required");
        if !found {
            // Not by `eprintln`, which tests capture: who runs them is to know.
            let _ = writeln!(std::io::stderr(), "GPU tests skipped: there is no adapter");
        }
        found
    })
}

/// What `--device` may say on this machine.
pub fn devices() -> &'static [&'static str] {
    if has_gpu() { &["cpu", "gpu"] } else { &["cpu"] }
}

/// The path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}
