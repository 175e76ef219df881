//! `train translate` and `predict` of its models: what is learned, what is shown, and what cannot be read.

mod support;

use std::fs;
use std::path::Path;

use support::{devices, events, fail, of_kind, succeed, text};

/// A corpus of which a word is a word, and the adjective changes sides.
fn corpus(directory: &Path, from: &str) -> std::io::Result<()> {
    let nouns = [("Haus", "house"), ("Hund", "dog"), ("Mann", "man"), ("Baum", "tree"), ("Fisch", "fish")];
    let adjectives = [("rot", "red"), ("alt", "old"), ("klein", "small"), ("blau", "blue")];
    let verbs = [("sieht", "sees"), ("malt", "paints"), ("sucht", "seeks")];
    let mut pairs = Vec::new();
    for (number, (of, into)) in nouns.iter().enumerate() {
        for (adjective, english) in adjectives {
            for (verb, does) in verbs {
                let (object, english_object) = nouns[(number + verb.len()) % nouns.len()];
                pairs.push((
                    format!("Ein {of}, {adjective}, {verb} das {object}."),
                    format!("A {english} {into} {does} the {english_object}."),
                ));
            }
        }
    }
    for (part, every) in [("train", 1), ("val", 7), ("test_2016_flickr", 9)] {
        let some: Vec<_> = pairs.iter().step_by(every).collect();
        let lines = |of: fn(&(String, String)) -> &String| -> String {
            some.iter().map(|pair| format!("{}\n", of(pair))).collect()
        };
        fs::write(directory.join(format!("{part}.{from}")), lines(|pair| &pair.0))?;
        fs::write(directory.join(format!("{part}.en")), lines(|pair| &pair.1))?;
    }
    Ok(())
}

#[test]
fn sentences_are_learned_saved_and_translated() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path();
    corpus(path, "de")?;
    let (save, map, plot) = (path.join("model.safetensors"), path.join("map.png"), path.join("plot.png"));
    let small = ["train", "translate", "--data", text(path), "--model", "transformer-small", "--batch-size", "4"];
    let keep = ["--save", text(&save), "--attention", text(&map), "--plot", text(&plot)];
    let all = events(&[&small[..], &keep, &["--epochs", "40", "--lr", "0.003", "--seed", "1"]].concat());
    let done = of_kind(&all, "done")[0];
    let score = |name: &str| done["test"][name].as_f64().unwrap_or(f64::NAN);
    assert!(score("bleu") > 60.0 && score("bleu_greedy") > 60.0, "{done}");
    assert!(score("perplexity") > 1.0 && score("perplexity") < 2.0 && score("accuracy") > 0.8, "{done}");
    // Labels are smoothed for the loss alone.
    assert!(score("loss") > score("perplexity").ln(), "{done}");
    let epochs = of_kind(&all, "epoch");
    let bleu: Vec<f64> = epochs.iter().filter_map(|epoch| epoch["validation"]["bleu"].as_f64()).collect();
    assert!(bleu.len() == 40 && bleu[39] > bleu[0] + 30.0, "{bleu:?}");
    let samples = of_kind(&all, "sample");
    assert_eq!(samples.len(), 41);
    let last = samples[40]["text"].as_str().unwrap_or_default();
    assert!(last.contains("de: Ein Haus, rot, sieht das") && last.contains("en: a red house"), "{last}");
    assert!(fs::read(&map)?.starts_with(b"\x89PNG") && fs::read(&plot)?.starts_with(b"\x89PNG"));
    let names = String::from_utf8_lossy(&fs::read(&save)?).into_owned();
    for name in ["target_embedding.weight", "encoder.layers.1.self_attn.in_proj_weight", "decoder.norm.bias"] {
        assert!(names.contains(name), "{name}");
    }
    assert!(!names.contains("head.weight") && !names.contains("memory_key"));

    let asked = |more: &[&str]| events(&[&["predict", text(&save)][..], more].concat());
    for (device, beam, name) in
        devices().iter().zip(["4", "1"]).zip(["bleu", "bleu_greedy"]).map(|((a, b), c)| (a, b, c))
    {
        let again = asked(&["--data", text(path), "--device", device, "--beam", beam]);
        let test = &of_kind(&again, "done")[0]["test"];
        let now = test["bleu"].as_f64().unwrap_or(f64::NAN);
        assert!((now - score(name)).abs() < 0.01, "{name} on {device}: {} and {now}", score(name));
        for name in ["loss", "perplexity"] {
            let (before, now) = (score(name), test[name].as_f64().unwrap_or(f64::NAN));
            assert!((before - now).abs() < 1e-4 * before.abs().max(1.0), "{name} on {device}: {before} and {now}");
        }
    }
    let file = path.join("questions.txt");
    fs::write(&file, "Ein Hund, alt, malt das Haus.\nEin Baum, blau, sieht das Haus.\n")?;
    let out = path.join("out.csv");
    let found = asked(&["--data", text(&file), "--out", text(&out), "--beam", "3"]);
    let predictions = of_kind(&found, "prediction");
    assert_eq!(predictions.len(), 2);
    assert_eq!(predictions[0]["text"], "Ein Hund, alt, malt das Haus.");
    let translation = predictions[0]["translation"].as_str().unwrap_or_default();
    assert!(translation.starts_with("a") && translation.contains("dog") && translation.ends_with('.'), "{translation}");
    assert!(of_kind(&found, "done")[0].get("test").is_none());
    let table = fs::read_to_string(&out)?;
    assert!(
        table.starts_with("index,text,translation\n0,\"Ein Hund, alt, malt das Haus.\",") && table.lines().count() == 3
    );
    // What stands alone is translated as among others.
    fs::write(&file, "Ein Baum, blau, sieht das Haus.\n")?;
    let alone = asked(&["--data", text(&file), "--beam", "3"]);
    assert_eq!(of_kind(&alone, "prediction")[0]["translation"], predictions[1]["translation"]);
    fs::write(&file, "Ein Xylophon sieht\n")?;
    assert!(succeed(&["predict", text(&save), "--data", text(&file)]).contains("1 sentence with words that the model"));
    fs::write(&file, "Ein Haus\n\nEin Hund\n")?;
    assert!(fail(&["predict", text(&save), "--data", text(&file)]).contains("questions.txt, line 2: there is no text"));
    assert!(fail(&["predict", text(&save)]).contains("a file with a sentence a line"));
    Ok(())
}

/// 20 steps are the same on a GPU but for rounding.
#[test]
fn learning_is_the_same_on_every_device() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    corpus(directory.path(), "de")?;
    let losses = |device: &str| -> Vec<f64> {
        let common = ["train", "translate", "--data", text(directory.path()), "--model", "transformer-small"];
        let steps = ["--steps", "20", "--log-every", "1", "--batch-size", "1", "--beam", "1", "--device", device];
        let all = events(&[&common[..], &steps].concat());
        let mut losses: Vec<f64> = of_kind(&all, "step").iter().filter_map(|step| step["loss"].as_f64()).collect();
        losses.extend(of_kind(&all, "done")[0]["test"]["loss"].as_f64());
        losses
    };
    let right = losses("cpu");
    assert!(right.len() == 21 && right[20] < right[0], "{right:?}");
    for device in devices() {
        for (step, (found, right)) in losses(device).iter().zip(&right).enumerate() {
            assert!((found - right).abs() < 1e-3, "step {} on {device}: {found} and {right}", step + 1);
        }
    }
    Ok(())
}

#[test]
fn a_language_is_made_up_where_no_files_are_given() {
    let all = events(&["train", "translate", "--steps", "3", "--batch-size", "4", "--beam", "1"]);
    let done = of_kind(&all, "done")[0];
    assert!(done["test"]["bleu"].as_f64().is_some() && done["test"].get("bleu_greedy").is_none(), "{done}");
    let samples = of_kind(&all, "sample");
    assert!(samples.iter().all(|sample| sample["text"].as_str().is_some_and(|text| text.contains("made-up: "))));
}

#[test]
fn a_run_in_parts_is_the_same_as_in_one() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path();
    corpus(path, "fr")?;
    let (whole, parts, checkpoint) = (path.join("whole"), path.join("parts"), path.join("checkpoints"));
    let common = ["train", "translate", "--batch-size", "2", "--model", "transformer-small", "--beam", "1"];
    let begun = [&common[..], &["--data", text(path), "--from", "fr"]].concat();
    let keep = ["--checkpoint", text(&checkpoint)];
    succeed(&[&begun[..], &["--steps", "13", "--save", text(&whole)]].concat());
    succeed(&[&begun[..], &keep, &["--steps", "3"]].concat());
    // From which language is remembered.
    succeed(&[&common[..], &keep, &["--steps", "8", "--resume"]].concat());
    succeed(&[&common[..], &keep, &["--steps", "13", "--resume", "--save", text(&parts)]].concat());
    assert_eq!(fs::read(&whole)?, fs::read(&parts)?);
    let message = fail(&[&common[..], &keep, &["--resume", "--from", "de"]].concat());
    assert!(message.contains("was made with --from fr, not de"), "{message}");
    Ok(())
}

#[test]
fn what_cannot_be_learned_is_told_with_its_place() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path();
    let told = |more: &[&str], expected: &[&str]| {
        let message = fail(&[&["train", "translate"][..], more].concat());
        assert!(expected.iter().all(|part| message.contains(part)), "{message}");
    };
    let data = ["--data", text(path)];
    told(&["--from", "de"], &["--from is a language of --data DIR"]);
    told(&["--data", "/nowhere"], &["/nowhere does not exist"]);
    told(&data, &["has neither train.de nor train.de.gz", "https://"]);
    corpus(path, "de")?;
    let file = path.join("train.de");
    told(&["--data", text(&file)], &["train.de is no directory"]);
    told(&[&data[..], &["--from", "fr"]].concat(), &["neither train.fr nor train.fr.gz"]);
    told(&[&data[..], &["--attention", "map.svg"]].concat(), &["map.svg", ".png"]);
    let whole = fs::read_to_string(&file)?;
    fs::write(&file, format!("{whole}noch einer\n"))?;
    told(&data, &["train.de has 61 sentences and", "train.en has 60"]);
    fs::write(
        &file,
        whole.replacen("Ein Haus, alt, malt das Haus.", "", 1).replacen("Ein Haus, rot, sucht das Haus.", "   ", 1),
    )?;
    let message = fail(&[&["train", "translate"][..], &data].concat());
    assert!(message.contains("train.de, line ") && message.contains("there is no text"), "{message}");
    fs::write(&file, "")?;
    told(&data, &["train.de", "the file is empty"]);
    fs::write(&file, b"caf\xe9\n")?;
    told(&data, &["train.de", "not UTF-8", "line 1"]);
    for (demo, option) in [("digits", "--beam=2"), ("sentiment", "--attention=map.png"), ("char-lm", "--from=de")] {
        let message = fail(&["train", demo, option]);
        assert!(message.contains("is for translations, and"), "{message}");
    }
    Ok(())
}

#[test]
fn its_program_can_be_looked_at() {
    let told = succeed(&["inspect", "translate", "--stage", "graph"]);
    assert!(told.contains("attention") && told.contains("target_embedding.weight"), "{told}");
}
