//! Demos of recurrent networks: texts that are written, series that are foretold, sentences that are judged.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{devices, events, fail, of_kind, succeed, text};

const SENTIMENT_MODELS: [&str; 7] = ["rnn", "gru", "lstm", "bow", "tfidf", "cnn", "transformer"];

/// A text that is easy to learn.
fn tale(directory: &Path) -> std::io::Result<PathBuf> {
    let file = directory.join("tale.txt");
    let lines: String = (0..90)
        .map(|line| format!("line {} of a tale: the {} sat on the mat.\n", line % 10, ["cat", "dog"][line % 2]))
        .collect();
    fs::write(&file, lines)?;
    Ok(file)
}

/// Reviews of which single words tell the side.
fn reviews(directory: &Path) -> std::io::Result<()> {
    let sentences = |good: &str| -> String {
        let nouns = ["film", "plot", "cast", "end", "music"];
        (0..60).map(|line| format!("the {} is {good}{} .\n", nouns[line % 5], " indeed".repeat(line % 4))).collect()
    };
    // Latin-1, as the real ones are.
    let accented =
        |text: String| text.replace("cast", "caf\u{e9}").chars().map(|character| character as u8).collect::<Vec<u8>>();
    fs::write(directory.join("rt-polarity.pos"), accented(sentences("lovely")))?;
    fs::write(directory.join("rt-polarity.neg"), accented(sentences("dull")))
}

#[test]
fn a_text_is_learned_and_written() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let file = tale(directory.path())?;
    let run = |more: &[&str]| {
        let common =
            ["train", "char-lm", "--data", text(&file), "--batch-size", "4", "--prompt", "the cat", "--length", "40"];
        events(&[&common[..], more].concat())
    };
    for model in ["rnn", "gru", "lstm"] {
        let all = run(&["--model", model, "--steps", "30", "--seed", "3"]);
        let done = of_kind(&all, "done")[0];
        let perplexity = done["test"]["perplexity"].as_f64();
        assert!(perplexity > Some(1.0) && perplexity < Some(15.0), "{model}: {done}");
        let loss = done["test"]["loss"].as_f64().map(f64::exp);
        assert!((loss.unwrap_or_default() - perplexity.unwrap_or_default()).abs() < 1e-9);
        assert!(of_kind(&all, "epoch").iter().all(|epoch| epoch["validation"]["perplexity"].as_f64() > Some(1.0)));
        let samples = of_kind(&all, "sample");
        assert!(samples.len() >= 2, "{model}");
        for sample in samples {
            let sample = sample["text"].as_str().unwrap_or_default();
            assert!(sample.starts_with("the cat") && sample.chars().count() == 47, "{sample:?}");
        }
    }
    let written = |more: &[&str]| {
        let all = run(&[&["--steps", "5"][..], more].concat());
        of_kind(&all, "sample").last().map(|sample| sample["text"].clone())
    };
    assert_eq!(written(&[]), written(&[]));
    assert_ne!(written(&["--temperature", "2"]), written(&["--temperature", "2", "--seed", "1"]));
    assert_eq!(written(&["--temperature", "0"]), written(&["--top-k", "1"]));
    Ok(())
}

/// States that are carried from batch to batch come back too.
#[test]
fn a_text_in_parts_is_the_same_as_in_one() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let data = tale(directory.path())?;
    let file = |name: &str| directory.path().join(name);
    let (whole, parts, checkpoint) = (file("whole"), file("parts"), file("checkpoints"));
    let common =
        ["train", "char-lm", "--data", text(&data), "--batch-size", "2", "--model", "lstm-large", "--length", "9"];
    let keep = ["--checkpoint", text(&checkpoint)];
    succeed(&[&common[..], &["--steps", "40", "--save", text(&whole)]].concat());
    // Ends within the first epoch (of 27 steps), and again within the second.
    succeed(&[&common[..], &keep, &["--steps", "11"]].concat());
    succeed(&[&common[..], &keep, &["--steps", "31", "--resume"]].concat());
    succeed(&[&common[..], &keep, &["--steps", "40", "--resume", "--save", text(&parts)]].concat());
    assert_eq!(fs::read(&whole)?, fs::read(&parts)?);
    let names = String::from_utf8_lossy(&fs::read(&whole)?).into_owned();
    for name in ["embedding.weight", "lstm.weight_ih_l0", "lstm.bias_hh_l1", "head.bias"] {
        assert!(names.contains(name), "{name}");
    }
    Ok(())
}

#[test]
fn texts_that_cannot_be_learned_are_refused() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("text.txt");
    let told = |more: &[&str], expected: &[&str]| {
        let message = fail(&[&["train", "char-lm", "--data", text(&file)][..], more].concat());
        assert!(expected.iter().all(|part| message.contains(part)), "{message}");
    };
    told(&[], &["text.txt"]);
    for (content, expected) in [
        (&b""[..], &["text.txt", "empty"][..]),
        (b"fine\ncaf\xe9", &["text.txt", "UTF-8", "line 2", "offset 8"]),
        (b"too short", &["text.txt", "too short", "4097"]),
    ] {
        fs::write(&file, content)?;
        told(&[], expected);
    }
    fs::write(&file, "abc".repeat(210))?;
    told(&["--batch-size", "1"], &["the last tenth", "too short"]);
    told(&["--prompt", "abX"], &["--prompt", "character 3", "'X'"]);
    let message = fail(&["train", "char-lm", "--data", text(directory.path())]);
    assert!(message.contains("directory"), "{message}");
    for (demo, option, value) in [
        ("digits", "--prompt", "a"),
        ("forecast", "--length", "3"),
        ("char-lm", "--season", "4"),
        ("tabular", "--window", "4"),
    ] {
        assert!(fail(&["train", demo, option, value]).contains(option), "{demo} {option}");
    }
    Ok(())
}

#[test]
fn a_series_is_foretold_and_compared() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let (file, picture) = (directory.path().join("waves.csv"), directory.path().join("waves.png"));
    let rows: String = (0..260)
        .map(|row| format!("{row},{:.3}\n", 50.0 + 10.0 * (f64::from(row) * std::f64::consts::TAU / 10.0).sin()))
        .collect();
    fs::write(&file, format!("day,level\n{rows}"))?;
    let run = ["train", "forecast", "--data", text(&file), "--target", "level", "--window", "12", "--horizon", "4"];
    for model in ["rnn", "gru", "lstm"] {
        let more = ["--model", model, "--epochs", "8", "--season", "10", "--forecast", text(&picture)];
        let all = events(&[&run[..], &more].concat());
        let test = &of_kind(&all, "done")[0]["test"];
        let value = |name: &str| test[name].as_f64().unwrap_or(f64::NAN);
        assert!(value("mse") < 0.2 * value("naive_mse"), "{model}: {test}");
        assert!(value("seasonal_naive_mse") < 1e-3 && value("naive_mae") > value("mae"), "{test}");
        assert!(fs::read(&picture)?.starts_with(b"\x89PNG"));
        fs::remove_file(&picture)?;
    }
    let told = succeed(&[&run[..], &["--epochs", "1"]].concat());
    assert!(told.contains("naive") && told.contains('%'), "{told}");
    assert!(of_kind(&events(&["train", "forecast", "--steps", "3"]), "done")[0]["test"]["seasonal_naive_mse"].is_f64());
    Ok(())
}

#[test]
fn series_that_cannot_be_foretold_are_refused() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("series.csv");
    let long: String = (0..100).map(|row| format!("m{row},{row}\n")).collect();
    for (content, more, expected) in [
        ("", &[][..], "series.csv"),
        (&format!("month,a\n{long}x,\n"), &[], "line 102, column 'a'"),
        (&format!("month,a\n{long}x,much\n"), &[], "line 102"),
        ("month,a\nx,1\ny,2\n", &[], "too short"),
        ("a,b\n1,2\n3,4\n", &[], "--target"),
        (&format!("month,a\n{long}"), &["--target", "b"], "month, a"),
        (&format!("month,a\n{long}"), &["--target", "month"], "words"),
        (&format!("month,a\n{long}"), &["--window", "90"], "too short"),
        (&format!("month,a\n{long}"), &["--season", "90"], "season"),
        (&format!("month,a\n{long}"), &["--forecast", "x.svg"], ".png"),
    ] {
        fs::write(&file, content)?;
        let message = fail(&[&["train", "forecast", "--data", text(&file)][..], more].concat());
        assert!(message.contains(expected), "{message}");
    }
    assert!(fail(&["train", "forecast", "--target", "a"]).contains("--data"));
    assert!(fail(&["train", "forecast", "--data", "/nowhere.csv"]).contains("/nowhere.csv"));
    Ok(())
}

#[test]
fn sentences_are_judged() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    reviews(directory.path())?;
    let run = ["train", "sentiment", "--data", text(directory.path()), "--batch-size", "8"];
    for model in SENTIMENT_MODELS {
        let all = events(&[&run[..], &["--epochs", "6", "--model", model]].concat());
        let test = &of_kind(&all, "done")[0]["test"];
        assert!(test["accuracy"].as_f64() > Some(0.9) && test["f1"].as_f64() > Some(0.9), "{model}: {test}");
        let samples = of_kind(&all, "sample");
        assert!(samples.len() > 2, "{samples:?}");
        for sample in samples {
            let sample = sample["text"].as_str().unwrap_or_default();
            let right = if sample.contains("lovely") { "positive" } else { "negative" };
            assert!(sample.starts_with(right) && sample.contains("the "), "{sample}");
        }
    }
    let told = succeed(&[&run[..], &["--epochs", "1"]].concat());
    assert!(told.contains("true \\ predicted") && told.contains("positive"), "{told}");
    Ok(())
}

/// Dropout is drawn alike, and what was fitted to the training part is the same.
#[test]
fn sentences_in_parts_are_the_same_as_in_one() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    reviews(directory.path())?;
    for model in ["bow", "tfidf", "cnn", "transformer"] {
        let file = |name: &str| directory.path().join(format!("{model}-{name}"));
        let (whole, parts, checkpoint) = (file("whole"), file("parts"), file("checkpoints"));
        let common = [
            "train",
            "sentiment",
            "--data",
            text(directory.path()),
            "--batch-size",
            "16",
            "--epochs",
            "3",
            "--model",
            model,
        ];
        let keep = ["--checkpoint", text(&checkpoint)];
        succeed(&[&common[..], &["--save", text(&whole)]].concat());
        // Ends within the second epoch of 7 steps.
        succeed(&[&common[..], &keep, &["--steps", "9"]].concat());
        let resumed = ["train", "sentiment", "--checkpoint", text(&checkpoint), "--resume", "--steps", "21"];
        succeed(&[&resumed[..], &["--save", text(&parts)]].concat());
        assert_eq!(fs::read(&whole)?, fs::read(&parts)?, "{model}");
    }
    Ok(())
}

/// A device computes what the processor does, also where sentences have no word that is known.
#[test]
fn models_of_sentences_follow_each_other_on_devices() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    reviews(directory.path())?;
    for model in ["bow", "tfidf", "cnn", "transformer"] {
        let losses = |device: &str| -> Vec<f64> {
            let run = ["train", "sentiment", "--data", text(directory.path()), "--batch-size", "8", "--model", model];
            let all = events(&[&run[..], &["--steps", "5", "--log-every", "1", "--device", device]].concat());
            of_kind(&all, "step").iter().filter_map(|step| step["loss"].as_f64()).collect()
        };
        let expected = losses("cpu");
        assert_eq!(expected.len(), 5, "{model}");
        for &device in devices() {
            let found = losses(device);
            let near = expected.iter().zip(&found).all(|(expected, found)| (expected - found).abs() < 1e-3);
            assert!(near && found.len() == 5, "{model} on {device}: {found:?}, {expected:?}");
        }
    }
    Ok(())
}

#[test]
fn reviews_that_are_not_there_are_told() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path();
    let message = fail(&["train", "sentiment"]);
    assert!(message.contains("rt-polarity.pos") && message.contains("http"), "{message}");
    assert!(fail(&["train", "sentiment", "--data", "/nowhere"]).contains("/nowhere"));
    reviews(path)?;
    fs::remove_file(path.join("rt-polarity.pos"))?;
    assert!(fail(&["train", "sentiment", "--data", text(path)]).contains("rt-polarity.pos"));
    fs::write(path.join("rt-polarity.pos"), "")?;
    assert!(fail(&["train", "sentiment", "--data", text(path)]).contains("empty"));
    fs::write(path.join("rt-polarity.pos"), "good\n\n")?;
    assert!(fail(&["train", "sentiment", "--data", text(path)]).contains("fewer than two"));
    Ok(())
}

#[test]
fn programs_of_networks_can_be_looked_at() {
    for demo in ["char-lm", "forecast", "sentiment"] {
        assert!(succeed(&["inspect", demo]).contains("lstm_sequence"), "{demo}");
    }
    for (model, expected) in [("gru", "gru_sequence"), ("bow", "take"), ("cnn", "conv"), ("transformer", "attention")] {
        let told = succeed(&["inspect", "sentiment", "--model", model, "--stage", "graph"]);
        assert!(told.contains(expected), "{model}: {told}");
    }
}
