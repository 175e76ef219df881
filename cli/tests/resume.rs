//! Runs are the same every time, also when they end in the middle and go on.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use support::{events, of_kind, succeed, text, wgrad};

/// Dropout and noise included, so that the random state must come back too.
const RUN: [&str; 6] = ["train", "digits", "--seed", "5", "--epochs", "4"];

fn saved(arguments: &[&str], file: &Path) -> std::io::Result<Vec<u8>> {
    succeed(&[&RUN, arguments, &["--save", text(file)]].concat());
    fs::read(file)
}

#[test]
fn two_runs_of_one_seed_are_the_same() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let file = |name: &str| directory.path().join(name);
    let first = saved(&[], &file("first"))?;
    assert_eq!(first, saved(&[], &file("second"))?);
    assert_ne!(first, saved(&["--lr", "0.002"], &file("third"))?);
    Ok(())
}

#[test]
fn a_run_in_parts_is_the_same_as_one() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let file = |name: &str| directory.path().join(name);
    let checkpoint = file("checkpoints");
    let whole = saved(&[], &file("whole"))?;
    let keep = ["--checkpoint", text(&checkpoint)];
    // Ends in the middle of the second epoch.
    succeed(&[&RUN[..], &keep, &["--steps", "70"]].concat());
    let rest = events(&[&RUN[..], &keep, &["--resume", "--save", text(&file("parts"))]].concat());
    assert_eq!(fs::read(file("parts"))?, whole);
    let epochs: Vec<u64> = of_kind(&rest, "epoch").iter().filter_map(|event| event["epoch"].as_u64()).collect();
    assert_eq!(epochs, [2, 3, 4]);
    assert_eq!(of_kind(&rest, "done")[0]["steps"], 180);
    Ok(())
}

/// Kills the run again and again until one comes to its end.
#[test]
fn a_run_killed_at_any_moment_goes_on_as_if_nothing_had_been() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let file = |name: &str| directory.path().join(name);
    let whole = saved(&[], &file("whole"))?;
    let checkpoint = file("checkpoints");
    let saved_at = file("killed");
    let arguments = [&RUN[..], &["--checkpoint", text(&checkpoint), "--resume", "--save", text(&saved_at)]].concat();
    let mut kills = 0;
    for attempt in 0_u64.. {
        let mut child = wgrad(&arguments).stdout(Stdio::null()).spawn()?;
        // Each attempt is left alone a little longer, so that the last one ends.
        thread::sleep(Duration::from_millis(60 + 47 * attempt + 31 * (attempt * 7 % 5)));
        if let Some(status) = child.try_wait()? {
            assert!(status.success(), "{status}");
            break;
        }
        child.kill()?;
        child.wait()?;
        kills += 1;
    }
    assert_eq!(fs::read(&saved_at)?, whole, "after {kills} kills");
    let left: Vec<_> =
        fs::read_dir(&checkpoint)?.filter_map(|entry| entry.ok().map(|entry| entry.file_name())).collect();
    assert!(left.iter().any(|name| name == "checkpoint.safetensors"), "{left:?}");
    Ok(())
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_cleanly_and_the_run_can_go_on() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let file = |name: &str| directory.path().join(name);
    let checkpoint = file("checkpoints");
    let long = ["train", "digits", "--epochs", "100000", "--checkpoint", text(&checkpoint), "--json"];
    let child = wgrad(&long).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    thread::sleep(Duration::from_millis(700));
    Command::new("kill").args(["-INT", &child.id().to_string()]).status()?;
    let output = child.wait_with_output()?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.lines().last().is_some_and(|line| line.contains("\"done\"")), "{stdout}");
    let steps =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).ok().and_then(|event| event["steps"].as_u64());
    let stopped = stdout.lines().last().and_then(steps).unwrap_or(0);
    let more = (stopped + 3).to_string();
    let rest = events(&[&long[..6], &["--resume", "--steps", &more]].concat());
    assert_eq!(of_kind(&rest, "done")[0]["steps"], stopped + 3);
    Ok(())
}
