//! Runs are the same every time, also when they end in the middle and are resumed.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use support::{events, fail, of_kind, run, succeed, text, wgrad};

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

/// What the device chose is remembered, and asked for by `auto` or by nothing.
#[test]
fn a_run_in_automatic_precision_is_resumed() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let file = |name: &str| directory.path().join(name);
    let whole = saved(&["--precision", "auto"], &file("whole"))?;
    assert_eq!(whole, saved(&["--precision", "bf16"], &file("named"))?);
    for (number, again) in [&["--precision", "auto"][..], &[]].into_iter().enumerate() {
        let checkpoint = file(&format!("checkpoints{number}"));
        let keep = ["--checkpoint", text(&checkpoint)];
        let started = events(&[&RUN[..], &keep, &["--precision", "auto", "--steps", "70"]].concat());
        assert_eq!(of_kind(&started, "start")[0]["precision"], "bf16");
        assert_eq!(saved(&[&keep[..], &["--resume"], again].concat(), &file("parts"))?, whole);
        let message = fail(&[&RUN[..], &keep, &["--resume", "--precision", "f16"]].concat());
        assert!(message.contains("made with --precision bf16, not f16"), "{message}");
    }
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

/// What a resumed run says of options that are not those it began with.
#[test]
fn options_of_a_run_that_goes_on_are_taken_over_used_or_refused() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let checkpoint = directory.path().join("run");
    let keep = ["--checkpoint", text(&checkpoint)];
    let first = [
        "train",
        "digits",
        "--model",
        "linear",
        "--optimizer",
        "sgd",
        "--lr",
        "0.02",
        "--batch-size",
        "50",
        "--precision",
        "bf16",
    ];
    let first = [&first[..], &["--epochs", "3", "--steps", "40"], &keep].concat();
    succeed(&first);
    let file = checkpoint.join("checkpoint.safetensors");
    let before = fs::read(&file)?;
    let again = |more: &[&'static str]| [&["train", "digits"], &keep[..], more].concat();
    for (more, expected) in [
        (&[][..], vec!["holds a run already", "--resume", "another directory"]),
        (&["--resume", "--model", "mlp"], vec!["made with --model linear, not mlp"]),
        (&["--resume", "--optimizer", "adam"], vec!["made with --optimizer sgd, not adam"]),
        (&["--resume", "--batch-size", "64"], vec!["made with --batch-size 50, not 64"]),
        (&["--resume", "--precision", "f32"], vec!["made with --precision bf16, not f32"]),
        (&["--resume", "--seed", "3"], vec!["made with seed 0, this run has seed 3"]),
    ] {
        let message = fail(&again(more));
        assert!(expected.iter().all(|part| message.contains(part)), "{message}; wanted {expected:?}");
        assert_eq!(fs::read(&file)?, before);
    }
    let message = fail(&[&["train", "mnist", "--resume"], &keep[..]].concat());
    assert!(message.contains("is a run of digits, not of mnist"), "{message}");
    assert_eq!(fs::read(&file)?, before);

    // With none of them, the run continues as it began, to the end of its epochs.
    let rest = events(&again(&["--resume", "--log-every", "1"]));
    let steps = of_kind(&rest, "step");
    let rate = |event: &serde_json::Value| event["learning_rate"].as_f64();
    assert_eq!((steps[0]["step"].as_u64(), rate(steps[0])), (Some(41), Some(0.02)));
    let epochs: Vec<u64> = of_kind(&rest, "epoch").iter().filter_map(|event| event["epoch"].as_u64()).collect();
    assert_eq!(epochs.last(), Some(&3));
    // More epochs, and another rate from there on.
    let more = events(&again(&["--resume", "--epochs", "4", "--lr", "0.5", "--log-every", "1"]));
    let steps = of_kind(&more, "step");
    assert!(!steps.is_empty() && steps.iter().all(|step| rate(step) == Some(0.5)), "{steps:?}");
    let told = succeed(&again(&["--resume", "--epochs", "5", "--lr", "0.25"]));
    assert!(
        told.contains("changed  --lr 0.25, 0.5 so far") && told.contains("changed  --epochs 5, 4 so far"),
        "{told}"
    );
    Ok(())
}

/// A run that is finished stays as it is, with the state before the last one; and says so.
#[test]
fn where_nothing_is_left_to_do_nothing_is_written() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let checkpoint = directory.path().join("run");
    let keep = ["train", "digits", "--model", "linear", "--checkpoint", text(&checkpoint)];
    succeed(&[&keep[..], &["--epochs", "2"]].concat());
    let files = ["checkpoint.safetensors", "checkpoint.previous.safetensors"].map(|name| checkpoint.join(name));
    let before = [fs::read(&files[0])?, fs::read(&files[1])?];
    assert_ne!(before[0], before[1]);
    for more in [&["--epochs", "1"][..], &["--epochs", "2", "--lr", "0.5"], &["--json"]] {
        let output = run(&[&keep[..], &["--resume"], more].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && stderr.contains("nothing is left to do"), "{stderr}");
        assert!(stderr.contains("has 2 epochs already"), "{stderr}");
        assert_eq!([fs::read(&files[0])?, fs::read(&files[1])?], before);
    }
    // The newest state is gone: what continues from the one before says so, whatever is on stdout.
    fs::remove_file(&files[0])?;
    let output = run(&[&keep[..], &["--resume", "--json"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.lines().count() == 1, "{stderr}");
    assert!(stderr.contains("warning") && stderr.contains("checkpoint.safetensors is not there"), "{stderr}");
    Ok(())
}

/// A disk without room, as seen by a process that may not write so large a file.
#[cfg(unix)]
#[test]
fn a_full_disk_loses_nothing() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let checkpoint = directory.path().join("run");
    let arguments = [&RUN[..], &["--checkpoint", text(&checkpoint)]].concat();
    succeed(&[&arguments[..], &["--steps", "50"]].concat());
    let file = |name: &str| checkpoint.join(name);
    let before = (fs::read(file("checkpoint.safetensors"))?, fs::read(file("checkpoint.previous.safetensors"))?);
    let limited = "trap '' XFSZ; ulimit -f 1; exec \"$@\"";
    let binary = wgrad(&[]).get_program().to_owned();
    let output = Command::new("sh")
        .args(["-c", limited, "sh"])
        .arg(binary)
        .args(&arguments)
        .args(["--resume", "--device", "cpu"])
        .output()?;
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("cannot write") && message.contains("checkpoint.safetensors"), "{message}");
    assert_eq!((fs::read(file("checkpoint.safetensors"))?, fs::read(file("checkpoint.previous.safetensors"))?), before);
    assert_eq!(fs::read_dir(&checkpoint)?.count(), 2, "something was left behind");
    assert_eq!(saved(&["--checkpoint", text(&checkpoint), "--resume"], &file("parts"))?, saved(&[], &file("whole"))?);
    Ok(())
}
