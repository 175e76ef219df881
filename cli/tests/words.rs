//! `train word2vec`: vectors of words, judged, written, drawn, saved, resumed and asked.

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use support::{devices, events, fail, of_kind, succeed, text};

/// Two kinds of sentences, so that words of a kind stand together.
fn corpus() -> String {
    let kinds =
        [["cat", "dog", "horse", "mouse", "sheep", "tiger"], ["red", "green", "blue", "yellow", "purple", "orange"]];
    let mut lines = String::new();
    for line in 0..600_usize {
        let words = kinds[line % 2];
        let word = |k: usize| words[(line / 2 * 7 + k * (line / 12 + 1)) % 6];
        lines += &format!("the {} and the {} with a {}, {}!\n", word(0), word(1), word(2), word(3));
    }
    lines
}

/// A directory with the text, packed, a note on it, and judgements.
fn directory(at: &Path) -> std::io::Result<PathBuf> {
    let data = at.join("data");
    fs::create_dir_all(&data)?;
    let mut packed =
        flate2::write::GzEncoder::new(fs::File::create(data.join("text.gz"))?, flate2::Compression::fast());
    packed.write_all(corpus().as_bytes())?;
    packed.finish()?;
    fs::write(data.join("SOURCE.txt"), "This text was made for a test.\n")?;
    let pairs = "cat\tdog\t9\nRed green 9.5\nhorse tiger 8\nblue purple 8.5\ncat red 1\ndog blue 0.5\nsheep green 1\ncat unicorn 7\n";
    fs::write(data.join("Kinds-8.txt"), pairs)?;
    Ok(data)
}

const SMALL: [&str; 10] =
    ["--width", "16", "--window", "3", "--min-count", "3", "--batch-size", "32", "--subsample", "0.05"];

#[test]
fn words_of_a_kind_become_neighbours() -> std::io::Result<()> {
    let place = tempfile::tempdir()?;
    let data = directory(place.path())?;
    let file = |name: &str| place.path().join(name);
    for model in ["skip-gram", "cbow"] {
        let (vectors, map, saved, plot) = (file("v.txt"), file("map.png"), file("m.safetensors"), file("loss.png"));
        let files = ["--vectors", text(&vectors), "--map", text(&map), "--save", text(&saved), "--plot", text(&plot)];
        let common = ["train", "word2vec", "--data", text(&data), "--model", model, "--epochs", "12", "--lr", "0.05"];
        let all = events(&[&common[..], &SMALL, &files].concat());
        let start = of_kind(&all, "start")[0];
        assert_eq!(start["parameters"], 2 * 16 * 16, "{start}");
        let done = of_kind(&all, "done")[0];
        let score = |name: &str| done["test"][name].as_f64();
        assert_eq!((score("pairs_kinds_8"), score("skipped_kinds_8")), (Some(7.0), Some(1.0)), "{done}");
        // People's order within a kind is anyone's guess; that of the kinds is not.
        assert!(score("spearman_kinds_8") > Some(0.5), "{model}: {done}");
        let epochs = of_kind(&all, "epoch");
        assert_eq!(epochs.len(), 12);
        assert!(epochs[11]["train_loss"].as_f64() < epochs[0]["train_loss"].as_f64());
        assert_eq!(of_kind(&all, "sample").len(), 13);
        // word2vec's format: a header, and a line a word from the most frequent on.
        let written = fs::read_to_string(&vectors)?;
        assert!(written.starts_with("16 16\nthe ") && written.lines().all(|line| line.split(' ').count() <= 17));
        assert_eq!(written.lines().count(), 17);
        for picture in [map, plot] {
            assert!(fs::read(picture)?.starts_with(b"\x89PNG"));
        }
        let question = file("question.txt");
        fs::write(&question, "Cat\n\ncat dog red\n")?;
        let told = events(&["predict", text(&saved), "--data", text(&question)]);
        let answers = of_kind(&told, "prediction");
        let animals = ["dog", "horse", "mouse", "sheep", "tiger"];
        assert!(animals.contains(&answers[0]["value"].as_str().unwrap_or_default()), "{}", answers[0]);
        assert_eq!((answers.len(), &answers[1]["question"]), (2, &"cat dog red".into()));
        fs::write(&question, "cat\nunicorn\n")?;
        let message = fail(&["predict", text(&saved), "--data", text(&question)]);
        assert!(message.contains("line 2") && message.contains("unicorn"), "{message}");
        assert!(fail(&["predict", text(&saved)]).contains("--data"));
    }
    Ok(())
}

#[test]
fn a_run_in_parts_is_the_same_as_one_and_devices_agree() -> std::io::Result<()> {
    let place = tempfile::tempdir()?;
    let data = place.path().join("text.txt");
    fs::write(&data, corpus())?;
    let file = |name: &str| place.path().join(name);
    let (whole, parts, checkpoint) = (file("whole"), file("parts"), file("checkpoints"));
    let common = [&["train", "word2vec", "--data", text(&data), "--seed", "3"][..], &SMALL].concat();
    succeed(&[&common[..], &["--steps", "90", "--save", text(&whole)]].concat());
    let keep = ["--checkpoint", text(&checkpoint)];
    succeed(&[&common[..], &keep, &["--steps", "17"]].concat());
    succeed(&[&common[..], &keep, &["--steps", "61", "--resume"]].concat());
    succeed(&[
        "train",
        "word2vec",
        "--steps",
        "90",
        "--seed",
        "3",
        "--resume",
        "--checkpoint",
        text(&checkpoint),
        "--save",
        text(&parts),
    ]);
    assert_eq!(fs::read(&whole)?, fs::read(&parts)?);
    let message = fail(&[&common[..], &keep, &["--resume", "--negatives", "7"]].concat());
    assert!(message.contains("--negatives"), "{message}");
    // 20 steps on other devices follow the CPU's.
    let losses = |device: &str| -> Vec<f64> {
        let all = events(&[&common[..], &["--steps", "20", "--log-every", "1", "--device", device]].concat());
        of_kind(&all, "step").iter().filter_map(|step| step["loss"].as_f64()).collect()
    };
    let wanted = losses("cpu");
    assert_eq!(wanted.len(), 20);
    for device in devices() {
        for (found, wanted) in losses(device).iter().zip(&wanted) {
            assert!((found - wanted).abs() < 1e-3, "{device}: {found}, and not {wanted}");
        }
    }
    Ok(())
}

#[test]
fn what_cannot_be_learned_is_told() -> std::io::Result<()> {
    let place = tempfile::tempdir()?;
    let file = place.path().join("text.txt");
    let told = |more: &[&str], parts: &[&str]| {
        let message = fail(&[&["train", "word2vec", "--data", text(&file)][..], more].concat());
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    };
    told(&[], &["text.txt"]);
    fs::write(&file, "a b c d\n")?;
    told(&[], &["text.txt", "5 times"]);
    fs::write(&file, "a\na\na\na\na\n")?;
    told(&[], &["no two words are near each other"]);
    fs::write(&file, "a b\n".repeat(9))?;
    told(&["--similarity", text(&file)], &["text.txt", "line 1", "two words and a number"]);
    told(&["--map", "map.svg"], &["map.svg", ".png"]);
    told(&["--window", "2000"], &["--window"]);
    let empty = place.path().join("empty");
    fs::create_dir_all(&empty)?;
    let message = fail(&["train", "word2vec", "--data", text(&empty)]);
    assert!(message.contains("no file of text"), "{message}");
    for (demo, option, value) in [
        ("digits", "--width", "4"),
        ("char-lm", "--window", "4"),
        ("sentiment", "--vectors", "v.txt"),
        ("word2vec", "--horizon", "3"),
    ] {
        assert!(fail(&["train", demo, option, value]).contains(option), "{demo} {option}");
    }
    Ok(())
}
