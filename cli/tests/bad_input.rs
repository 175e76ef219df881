//! Mistakes of users: one clear line, status 1, and nothing lost.

mod support;

use std::fs;
use std::path::Path;

use support::{fail, run, succeed, text};

/// An IDX file of bytes.
fn idx(extents: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, extents.len() as u8];
    extents.iter().for_each(|extent| bytes.extend(extent.to_be_bytes()));
    bytes.extend(values);
    bytes
}

/// A small MNIST, of which single files can be spoiled.
fn images(directory: &Path, spoil: &str, with: &[u8]) -> std::io::Result<()> {
    for part in ["train", "t10k"] {
        let labels: Vec<u8> = (0..20).map(|label| label % 10).collect();
        fs::write(directory.join(format!("{part}-images-idx3-ubyte")), idx(&[20, 28, 28], &[7; 20 * 28 * 28]))?;
        fs::write(directory.join(format!("{part}-labels-idx1-ubyte")), idx(&[20], &labels))?;
    }
    if spoil.is_empty() { Ok(()) } else { fs::write(directory.join(spoil), with) }
}

#[test]
fn unknown_names_list_what_there_is() {
    for (arguments, expected) in [
        (&["train", "digits", "--model", "nonsense"][..], "mlp"),
        (&["train", "digits", "--optimizer", "nonsense"], "adamw"),
        (&["train", "digits", "--epochs", "1", "--device", "nonsense"], "nonsense"),
        (&["train", "digits", "--plot", "run.gif"], ".png"),
        (&["check", "nonsense"], "matmul/nn"),
        (&["bench", "nonsense"], "step/mlp"),
        (&["train", "tabular", "--target", "x"], "--data"),
        (&["inspect", "digits", "--stage", "wgsl"], "--device gpu"),
    ] {
        let message = fail(arguments);
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}

#[test]
fn missing_data_says_which_files_and_where_from() {
    for demo in ["mnist", "fashion"] {
        let message = fail(&["train", demo]);
        assert!(message.contains("train-images-idx3-ubyte") && message.contains("http"), "{message}");
    }
    assert!(fail(&["train", "mnist", "--data", "/nowhere"]).contains("/nowhere"));
    assert!(fail(&["train", "digits", "--data", "/nowhere.csv"]).contains("/nowhere.csv"));
    assert!(fail(&["bench", "mlp", "--baseline", "/nowhere"]).contains("/nowhere"));
}

#[test]
fn spoiled_images_are_refused() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path();
    let train = ["train", "mnist", "--data", text(path), "--epochs", "1", "--batch-size", "4"];
    images(path, "", &[])?;
    succeed(&train);
    let labels = idx(&[20], &[11; 20]);
    let short = idx(&[19], &[1; 19]);
    for (file, with, expected) in [
        ("train-images-idx3-ubyte", &b"\0\0"[..], "truncated"),
        ("train-images-idx3-ubyte", &idx(&[20, 28, 28], &[7; 100]), "truncated"),
        ("train-images-idx3-ubyte", &idx(&[0, 28, 28], &[]), "empty"),
        ("t10k-labels-idx1-ubyte", b"this is no IDX file", "IDX"),
        ("train-labels-idx1-ubyte", &labels, "label 11"),
        ("train-labels-idx1-ubyte", &short, "19"),
        ("t10k-images-idx3-ubyte.gz", b"\x1f\x8b and no gzip", ""),
    ] {
        images(path, file, with)?;
        if file.ends_with(".gz") {
            fs::remove_file(path.join("t10k-images-idx3-ubyte"))?;
        }
        let message = fail(&train);
        assert!(message.contains(expected), "{file}: {message}");
    }
    Ok(())
}

#[test]
fn spoiled_tables_are_refused() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("table.csv");
    let different: String = (0..300).map(|row| format!("{row},{row}.5\n")).collect();
    for (content, target, expected) in [
        ("", "y", "table.csv"),
        ("x,y\n", "y", "table.csv"),
        ("x,y\n1,2\n3\n", "y", "line 3"),
        ("x,y\n1,0\n,1\n3,0\n", "y", "line 3"),
        ("x,y\n1,0\n2,1\n3,0\n4,1\n5,0\n", "z", "z"),
        ("x,y\n1,5\n2,5\n3,5\n4,5\n", "y", "same value"),
        (&format!("x,y\n{different}"), "y", "300"),
        ("y\n1\n2\n1\n2\n", "y", "column"),
    ] {
        fs::write(&file, content)?;
        let train = ["train", "tabular", "--data", text(&file), "--target", target, "--batch-size", "1"];
        let message = fail(&[&train[..], &["--task", "classification"]].concat());
        assert!(message.contains(expected), "{content:?}: {message}");
    }
    fs::write(&file, "a,b\n1,0\n")?;
    assert!(fail(&["train", "tabular", "--data", text(&file)]).contains("a, b"));
    Ok(())
}

#[test]
fn a_batch_larger_than_the_data_is_refused() {
    assert!(fail(&["train", "digits", "--batch-size", "5000"]).contains("1438"));
}

#[test]
fn a_divergent_run_is_told() {
    assert!(fail(&["train", "digits", "--epochs", "3", "--optimizer", "sgd", "--lr", "1e30"]).contains("diverged"));
}

#[test]
fn places_that_cannot_be_written_are_found_before_the_run() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("a file");
    fs::write(&file, "")?;
    let below = file.join("below");
    for option in ["--save", "--checkpoint"] {
        let message = fail(&["train", "digits", option, text(&below)]);
        assert!(message.contains("a file"), "{message}");
    }
    assert!(fail(&["train", "digits", "--plot", text(&below.join("x.png"))]).contains("a file"));
    assert!(fail(&["train", "digits", "--save", text(directory.path())]).contains("directory"));
    assert!(run(&["train", "digits", "--save", text(&below), "--json"]).stdout.is_empty());
    Ok(())
}

#[test]
fn checkpoints_of_something_else_are_refused_and_stay() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let path = text(directory.path());
    let file = directory.path().join("checkpoint.safetensors");
    succeed(&["train", "digits", "--epochs", "1", "--checkpoint", path]);
    let before = fs::read(&file)?;
    for (arguments, expected) in [
        (&["train", "digits", "--model", "linear"][..], "--model mlp, not linear"),
        (&["train", "tabular"], "a run of digits, not of tabular"),
        (&["train", "digits", "--seed", "1"], "seed"),
        (&["train", "digits", "--batch-size", "16"], "--batch-size 32, not 16"),
    ] {
        let message = fail(&[arguments, &["--checkpoint", path, "--resume"]].concat());
        assert!(message.contains(expected), "{message}");
        assert_eq!(fs::read(&file)?, before, "{arguments:?}");
    }
    fs::write(&file, &before[..before.len() / 2])?;
    assert!(fail(&["train", "digits", "--checkpoint", path, "--resume"]).contains("truncated"));
    Ok(())
}
