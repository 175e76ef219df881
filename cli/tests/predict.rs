//! Models that are saved, and asked.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::picture::Picture;
use support::{devices, events, fail, of_kind, succeed, text};
use wgrad::data::{Csv, Dataset, Target};
use wgrad::safetensors;
use wgrad::tensor::TensorData;

fn test_of(events: &[Value]) -> Value {
    of_kind(events, "done")[0]["test"].clone()
}

/// Trains, and asks the saved model about what the training was tested with: the same scores on the same device, nearly the same on
/// the other.
fn same_scores(train: &[&str], save: &Path, data: &Path, devices: &[&str]) -> Vec<Value> {
    let mut found = Vec::new();
    for &device in devices {
        let trained = test_of(&events(&[train, &["--save", text(save), "--device", device]].concat()));
        for &other in devices {
            let asked = events(&["predict", text(save), "--data", text(data), "--device", other]);
            let (scores, trained) = (test_of(&asked), trained.as_object().unwrap());
            for (name, value) in trained {
                let (value, score) = (value.as_f64().unwrap(), scores[name].as_f64().unwrap_or(f64::NAN));
                // The baselines of a forecast are none of the model's.
                if scores.get(name).is_none() && name.contains("naive") {
                    continue;
                }
                let far = if device == other { 0.0 } else { 1e-4 * value.abs().max(1.0) };
                assert!(
                    (value - score).abs() <= far,
                    "{train:?} on {device}, asked on {other}: {name} {value} {score}"
                );
            }
            found = asked;
        }
    }
    found
}

/// The bundled digits' test part as the training of seed 0 has it, and the same without the answers.
fn digits(directory: &Path) -> (PathBuf, PathBuf) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/digits.csv");
    let lines: Vec<String> = fs::read_to_string(&source).unwrap().lines().map(str::to_owned).collect();
    let table = Csv::new().read(&source).unwrap();
    let labels = table.dataset("target", Target::Classes).unwrap().column("y").unwrap().clone();
    let count = labels.len();
    let numbers = TensorData::from_vec((0..count as i32).collect(), [count]).unwrap();
    let all = Dataset::new([("x", numbers), ("y", labels)]).unwrap();
    let (_, test) = all.stratified_split("y", 0.8, 0).unwrap();
    let target = lines[0].split(',').position(|name| name.trim_matches('"') == "target").unwrap();
    let rows: Vec<String> = test.labels("x").unwrap().iter().map(|row| lines[row + 1].clone()).collect();
    let without = |line: &String| -> String {
        let cells: Vec<&str> =
            line.split(',').enumerate().filter(|(column, _)| *column != target).map(|(_, cell)| cell).collect();
        cells.join(",")
    };
    let with: Vec<String> = [&lines[0]].into_iter().chain(&rows).cloned().collect();
    let (answers, questions) = (directory.join("answers.csv"), directory.join("questions.csv"));
    fs::write(&answers, with.join("\n")).unwrap();
    fs::write(&questions, with.iter().map(without).collect::<Vec<_>>().join("\n")).unwrap();
    (answers, questions)
}

#[test]
fn digits_are_told_as_in_training() {
    let directory = tempfile::tempdir().unwrap();
    let (answers, questions) = digits(directory.path());
    let save = directory.path().join("digits.safetensors");
    for model in ["mlp", "cnn"] {
        same_scores(&["train", "digits", "--model", model, "--epochs", "1"], &save, &answers, devices());
    }
    let out = directory.path().join("out.csv");
    let asked = events(&["predict", text(&save), "--data", text(&answers)]);
    let blind = events(&["predict", text(&save), "--data", text(&questions), "--out", text(&out)]);
    assert_eq!(of_kind(&blind, "start")[0]["classes"].as_array().unwrap().len(), 10);
    assert!(of_kind(&blind, "done")[0].get("test").is_none());
    let [asked, predictions] = [&asked, &blind].map(|events| of_kind(events, "prediction"));
    assert_eq!(asked, predictions, "the answers change nothing");
    assert_eq!(predictions.len(), fs::read_to_string(&answers).unwrap().lines().count() - 1);
    let table = Csv::new().categorical(["class"]).read(&out).unwrap();
    assert_eq!(table.columns.len(), 12);
    for (index, prediction) in predictions.iter().enumerate() {
        let probabilities: Vec<f64> =
            prediction["probabilities"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let label = prediction["label"].as_u64().unwrap() as usize;
        assert!(probabilities.iter().all(|value| *value <= probabilities[label]));
        assert_eq!(
            (prediction["index"].as_u64(), &prediction["class"]),
            (Some(index as u64), &label.to_string().into())
        );
    }
    let told = succeed(&["predict", text(&save), "--data", text(&questions)]);
    assert!(told.contains("--out FILE.csv writes them all") && told.contains("probability"), "{told}");
}

#[test]
fn tables_that_do_not_fit_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let save = directory.path().join("digits.safetensors");
    succeed(&["train", "digits", "--model", "linear", "--epochs", "1", "--save", text(&save)]);
    let table = directory.path().join("table.csv");
    let names: Vec<String> = (0..64).map(|pixel| format!("p{pixel}")).collect();
    let zeros = vec!["0"; 64].join(",");
    for (content, expected) in [
        ("a,b,c,d\n1,2,3,4\n".to_owned(), "4 columns of pixels beside 'target', and the model takes 8x8"),
        (format!("{},target\n{zeros},11\n{zeros},3\n", names.join(",")), "knows no class '11'"),
        (format!("{},target\n{},3\n", names.join(","), zeros.replacen('0', "0.5", 1)), "0.5"),
        ("a\n".to_owned(), "table.csv"),
    ] {
        fs::write(&table, content).unwrap();
        let message = fail(&["predict", text(&save), "--data", text(&table)]);
        assert!(message.contains(expected), "{message}");
    }
    assert!(fail(&["predict", text(&save)]).contains("--data"));
    assert!(fail(&["predict", text(&save), "--data", "/nowhere.csv"]).contains("/nowhere.csv"));
    assert!(fail(&["predict", text(&save), "--data", text(&table), "--prompt", "a"]).contains("--prompt"));
    assert!(fail(&["predict", text(&save), "--data", text(&table), "--out", "/nowhere/out.csv"]).contains("/nowhere"));
}

#[test]
fn files_that_are_no_models_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let save = path("digits.safetensors");
    succeed(&[
        "train",
        "digits",
        "--model",
        "linear",
        "--epochs",
        "1",
        "--save",
        text(&save),
        "--checkpoint",
        text(directory.path()),
    ]);
    let (tensors, metadata) = safetensors::read(&save).unwrap();
    let tensors: Vec<(String, TensorData)> = tensors.into_iter().collect();
    let question = path("question.csv");
    let row = |cell: &dyn Fn(usize) -> String| (0..64).map(cell).collect::<Vec<_>>().join(",");
    fs::write(&question, format!("{}\n{}\n", row(&|pixel| format!("p{pixel}")), row(&|_| "7".to_owned()))).unwrap();
    succeed(&["predict", text(&save), "--data", text(&question)]);
    let changed = |name: &str, value: Option<&str>| {
        let mut entries = metadata.clone();
        entries.remove(name);
        entries.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        let path = path("changed.safetensors");
        safetensors::write(&path, &tensors, &entries.into_iter().collect::<Vec<_>>()).unwrap();
        fail(&["predict", text(&path), "--data", text(&question)])
    };
    for (name, value, expected) in [
        ("format", None, "no model that wgrad saved"),
        ("format", Some("wgrad-model-2"), "\"wgrad-model-2\", and this version"),
        ("kind", None, "what kind"),
        ("kind", Some("my-model"), "the program that saved it"),
        ("model", None, "\"model\""),
        ("model", Some("transformer"), "\"transformer\""),
        ("model", Some("mlp"), "another model"),
        ("precision", Some("f8"), "\"f8\""),
        ("classes", Some("[\"a\"]"), "1 class where 10"),
        ("classes", Some("a, b"), "no list of texts"),
        ("shape", Some("[1,1e9,1e9]"), "do not fit"),
        ("shape", Some("[1,8.5,8]"), "do not fit"),
        ("std", Some("[0]"), "do not fit"),
    ] {
        let message = changed(name, value);
        assert!(message.contains("changed.safetensors") && message.contains(expected), "{name} {value:?}: {message}");
    }
    assert!(fail(&["predict", text(&path("checkpoint.safetensors"))]).contains("checkpoint to continue training from"));
    assert!(fail(&["predict", "/nowhere.safetensors"]).contains("/nowhere.safetensors"));
    let whole = fs::read(&save).unwrap();
    fs::write(&save, &whole[..whole.len() - 1]).unwrap();
    assert!(fail(&["predict", text(&save)]).contains("digits.safetensors"));
    fs::write(&save, "words").unwrap();
    assert!(fail(&["predict", text(&save)]).contains("digits.safetensors"));
}

/// An IDX file of bytes.
fn idx(extents: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, extents.len() as u8];
    extents.iter().for_each(|extent| bytes.extend(extent.to_be_bytes()));
    bytes.extend(values);
    bytes
}

#[test]
fn images_are_told_as_in_training() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for (part, count) in [("train", 60_u32), ("t10k", 30)] {
        let labels: Vec<u8> = (0..count).map(|label| (label % 10) as u8).collect();
        let pixels: Vec<u8> = (0..count * 784).map(|index| ((index / 784 % 10) * 23 + index % 17) as u8).collect();
        fs::write(path.join(format!("{part}-images-idx3-ubyte")), idx(&[count, 28, 28], &pixels)).unwrap();
        fs::write(path.join(format!("{part}-labels-idx1-ubyte")), idx(&[count], &labels)).unwrap();
    }
    let save = path.join("mnist.safetensors");
    for (demo, name) in [("mnist", "7"), ("fashion", "sneaker")] {
        let train = ["train", demo, "--data", text(path), "--model", "mlp", "--epochs", "2", "--batch-size", "10"];
        same_scores(&train, &save, path, devices());
        let asked = events(&["predict", text(&save), "--data", text(&path.join("t10k-images-idx3-ubyte"))]);
        assert_eq!(
            (of_kind(&asked, "prediction").len(), of_kind(&asked, "start")[0]["classes"][7].as_str()),
            (30, Some(name))
        );
        assert!(of_kind(&asked, "done")[0].get("test").is_none());
    }
    let other = path.join("other");
    fs::write(&other, idx(&[2, 20, 28], &[1; 1120])).unwrap();
    let message = fail(&["predict", text(&save), "--data", text(&other)]);
    assert!(message.contains("images are 20x28, and the model takes 28x28"), "{message}");
    assert!(
        fail(&["predict", text(&save), "--data", text(&path.join("t10k-labels-idx1-ubyte"))])
            .contains("[n, height, width]")
    );
}

/// A picture of a class: dark above or dark below.
fn picture(class: u32, number: u32) -> Picture {
    Picture::from_fn(12, 12, |x, y| {
        let light = if (y < 6) == (class == 0) { 30 } else { 200 };
        [light, (light + number as u8 * 3) % 255, (x * 9) as u8]
    })
}

#[test]
fn pictures_are_told_as_in_training() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for (part, count) in [("train", 8), ("test", 5)] {
        for (class, name) in ["above", "below"].iter().enumerate() {
            let folder = path.join(part).join(name);
            fs::create_dir_all(&folder).unwrap();
            (0..count)
                .for_each(|number| picture(class as u32, number).save(folder.join(format!("{number}.png"))).unwrap());
        }
    }
    let save = path.join("pictures.safetensors");
    for (model, devices) in [("cnn", devices()), ("resnet", &["cpu"][..])] {
        let train = ["train", "images", "--data", text(path), "--model", model, "--epochs", "2", "--batch-size", "8"];
        let asked = same_scores(&train, &save, path, devices);
        let predictions = of_kind(&asked, "prediction");
        assert_eq!(predictions.len(), 10);
        assert!(predictions[7]["file"].as_str().unwrap().ends_with("below/2.png"));
    }
    // A folder without classes, another size, and a single picture.
    let flat = path.join("flat");
    fs::create_dir(&flat).unwrap();
    let small = picture(1, 3);
    let large = Picture::from_fn(50, 31, |x, y| small.pixel((2 * x + 1) * 12 / 100, (2 * y + 1) * 12 / 62));
    large.save(flat.join("a.jpg")).unwrap();
    picture(0, 1).save(flat.join("b.png")).unwrap();
    fs::write(flat.join("notes.txt"), "no picture").unwrap();
    let asked = events(&["predict", text(&save), "--data", text(&flat)]);
    assert_eq!(of_kind(&asked, "prediction").len(), 2);
    assert!(of_kind(&asked, "done")[0].get("test").is_none());
    assert_eq!(of_kind(&events(&["predict", text(&save), "--data", text(&flat.join("b.png"))]), "prediction").len(), 1);
    let jpeg = fs::read(flat.join("a.jpg")).unwrap();
    fs::write(flat.join("a.jpg"), &jpeg[..jpeg.len() - 9]).unwrap();
    assert!(fail(&["predict", text(&save), "--data", text(&flat)]).contains("a.jpg: the picture is truncated"));
    let skipped = succeed(&["predict", text(&save), "--data", text(&flat), "--skip-damaged"]);
    assert!(skipped.contains("skipped 1 damaged") && skipped.contains("b.png"), "{skipped}");
    fs::create_dir_all(flat.join("sideways")).unwrap();
    assert!(
        fail(&["predict", text(&save), "--data", text(&flat)])
            .contains("knows no class \"sideways\"; it knows above, below")
    );
}

#[test]
fn sentences_are_judged_as_in_training() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for (file, words) in [("rt-polarity.neg", ["dull", "bad"]), ("rt-polarity.pos", ["fine", "caf\u{e9}"])] {
        let lines: Vec<u8> = (0..60)
            .flat_map(|line: usize| {
                format!("a {} film of {}\n", words[line % 2], words[line / 2 % 2]).chars().collect::<Vec<_>>()
            })
            .map(|character| character as u8)
            .collect();
        fs::write(path.join(file), lines).unwrap();
    }
    let file = path.join("some.txt");
    for model in ["gru", "bow", "tfidf", "cnn", "transformer"] {
        let save = path.join(format!("{model}.safetensors"));
        let train =
            ["train", "sentiment", "--data", text(path), "--epochs", "5", "--batch-size", "20", "--model", model];
        // All sentences are like the test's: with all told right, so are these. The loss is of other sentences.
        let trained = test_of(&events(&[&train[..], &["--save", text(&save), "--lr", "0.01"]].concat()));
        let asked = events(&["predict", text(&save), "--data", text(path)]);
        assert_eq!((&trained["accuracy"], &test_of(&asked)["accuracy"]), (&1.0.into(), &1.0.into()), "{model}");
        // One sentence is longer than all that were learned, and of one no word is known.
        let long = format!("a dull film {}", "of a dull film and ".repeat(30));
        fs::write(&file, format!("a fine film\n\n{long}\na café of films\n?\n")).unwrap();
        for &device in devices() {
            let asked = events(&["predict", text(&save), "--data", text(&file), "--device", device]);
            let answers = of_kind(&asked, "prediction");
            let classes: Vec<&str> = answers.iter().filter_map(|event| event["class"].as_str()).collect();
            assert_eq!(classes.get(..3), Some(&["positive", "negative", "positive"][..]), "{model}");
            assert_eq!(answers[1]["text"], long.trim());
            assert_eq!(answers.len(), 4);
        }
        fs::write(&file, " \n").unwrap();
        assert!(fail(&["predict", text(&save), "--data", text(&file)]).contains("no sentence"));
    }
}

#[test]
fn texts_are_measured_as_in_training_and_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let tale: String = (0..400).map(|line| format!("{} little ducks went out one day.\n", line % 9)).collect();
    let (file, last) = (path.join("tale.txt"), path.join("last.txt"));
    fs::write(&file, &tale).unwrap();
    // All characters are single bytes here.
    fs::write(&last, &tale[(tale.len() as f64 * 0.9) as usize..]).unwrap();
    let save = path.join("tale.safetensors");
    let train = [
        "train",
        "char-lm",
        "--data",
        text(&file),
        "--epochs",
        "1",
        "--batch-size",
        "16",
        "--model",
        "rnn",
        "--length",
        "5",
    ];
    let asked = same_scores(&train, &save, &last, devices());
    assert!(of_kind(&asked, "sample").is_empty());
    let write = ["predict", text(&save), "--prompt", "3 little", "--length", "20", "--temperature", "0"];
    let written = events(&write);
    let sample = of_kind(&written, "sample")[0]["text"].as_str().unwrap();
    assert!(sample.starts_with("3 little") && sample.chars().count() == 28, "{sample}");
    assert_eq!(written[1..], events(&write)[1..]);
    assert_eq!(of_kind(&events(&["predict", text(&save), "--length", "7"]), "sample").len(), 1);
    assert!(fail(&["predict", text(&save), "--prompt", "Q"]).contains("'Q' is not among"));
    fs::write(&last, "0 little ducks, and a Q").unwrap();
    assert!(fail(&["predict", text(&save), "--data", text(&last)]).contains("last.txt: line 1, character 15"));
    fs::write(&last, "0 little").unwrap();
    assert!(fail(&["predict", text(&save), "--data", text(&last)]).contains("too short"));
}

/// A table of two numbers and a word, from which both a class and a number follow.
fn table(path: &Path, rows: std::ops::Range<usize>, columns: &[usize]) {
    let mut lines = Vec::new();
    let pick = |cells: [String; 5]| columns.iter().map(|&column| cells[column].clone()).collect::<Vec<_>>().join(",");
    lines.push(pick(["size", "age", "colour", "kind", "price"].map(str::to_owned)));
    for row in rows {
        let (size, age, colour) = (row * 7 % 23, row * 5 % 11, ["red", "blue", "green"][row % 3]);
        let kind = if size + age > 16 { "large" } else { "small" };
        let price = 1e6 + size as f64 * 100.0 - age as f64 * 30.5;
        lines.push(pick([size.to_string(), age.to_string(), colour.to_owned(), kind.to_owned(), price.to_string()]));
    }
    fs::write(path, lines.join("\n")).unwrap();
}

#[test]
fn tables_are_told_as_in_training() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let (learned, known, asked, save) =
        (path("train.csv"), path("test.csv"), path("asked.csv"), path("table.safetensors"));
    for (target, columns, others) in [("kind", [0, 1, 2, 3], [2, 1, 0]), ("price", [0, 1, 2, 4], [1, 2, 0])] {
        table(&learned, 0..120, &columns);
        table(&known, 120..160, &columns);
        table(&asked, 120..160, &others);
        let train = [
            "train",
            "tabular",
            "--data",
            text(&learned),
            "--target",
            target,
            "--test-data",
            text(&known),
            "--epochs",
            "3",
        ];
        same_scores(&train, &save, &known, devices());
        let answers = events(&["predict", text(&save), "--data", text(&known)]);
        let out = path("out.csv");
        let blind = events(&["predict", text(&save), "--data", text(&asked), "--out", text(&out)]);
        assert_eq!(of_kind(&answers, "prediction"), of_kind(&blind, "prediction"), "columns are found by their names");
        assert!(of_kind(&blind, "done")[0].get("test").is_none());
        for event in of_kind(&blind, "prediction") {
            match target {
                "kind" => assert!(["large", "small"].contains(&event["class"].as_str().unwrap())),
                // In the unit of the table: standardized, it would be a few.
                _ => assert!((9e5..1.1e6).contains(&event["value"].as_f64().unwrap()), "{event}"),
            }
        }
        assert_eq!(Csv::new().read(&out).unwrap().len(), 40);
        table(&asked, 0..20, &[0, 2]);
        assert!(fail(&["predict", text(&save), "--data", text(&asked)]).contains("age"));
        fs::write(&asked, "size,age,colour\n1,2,violet\n3,4,red\n").unwrap();
        let output = support::run(&["predict", text(&save), "--data", text(&asked), "--json"]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success()
                && stderr.contains("'colour' has 1 value that the model never saw: it counts as no label"),
            "{stderr}"
        );
        fs::write(&asked, "size,age,colour\n1,2,red\nseven,4,red\n").unwrap();
        assert!(fail(&["predict", text(&save), "--data", text(&asked)]).contains("seven"));
    }
    table(&learned, 0..60, &[0, 1, 2, 3]);
    succeed(&[
        "train",
        "tabular",
        "--data",
        text(&learned),
        "--target",
        "kind",
        "--epochs",
        "1",
        "--save",
        text(&save),
    ]);
    fs::write(&asked, "size,age,colour,kind\n1,2,red,huge\n").unwrap();
    assert!(fail(&["predict", text(&save), "--data", text(&asked)]).contains("huge"));
}

#[test]
fn series_are_continued_as_in_training() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let (all, end, save) = (path("all.csv"), path("end.csv"), path("series.safetensors"));
    let lines: Vec<String> = (0..150).map(|day| format!("day {day},{}", 1e5 + f64::from(day * day % 37))).collect();
    let write =
        |path: &Path, from: usize| fs::write(path, format!("day,sales\n{}\n", lines[from..].join("\n"))).unwrap();
    write(&all, 0);
    // The test is the last fifth, and the windows before it.
    write(&end, 120 - 12);
    let train = [
        "train",
        "forecast",
        "--data",
        text(&all),
        "--window",
        "12",
        "--horizon",
        "4",
        "--epochs",
        "2",
        "--model",
        "rnn",
    ];
    let asked = same_scores(&train, &save, &end, devices());
    let values: Vec<f64> = of_kind(&asked, "prediction").iter().map(|event| event["value"].as_f64().unwrap()).collect();
    assert!(values.len() == 4 && values.iter().all(|value| (9.9e4..1.01e5).contains(value)), "{values:?}");
    write(&end, 150 - 12);
    let short = events(&["predict", text(&save), "--data", text(&end), "--device", devices().last().unwrap()]);
    assert!(of_kind(&short, "done")[0].get("test").is_none());
    for (event, value) in of_kind(&short, "prediction").iter().zip(&values) {
        assert!((event["value"].as_f64().unwrap() - value).abs() < 0.1, "{event} {value}");
    }
    write(&end, 150 - 11);
    assert!(fail(&["predict", text(&save), "--data", text(&end)]).contains("has 11 values, and the model looks at 12"));
    fs::write(&end, "day,other\n1,2\n").unwrap();
    assert!(fail(&["predict", text(&save), "--data", text(&end)]).contains("sales"));
}
