//! Saved models whose settings, parameters and questions were mutated: an answer or an error, and never a panic.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use wgrad::nn::Precision;
use wgrad::safetensors;
use wgrad::scalar::threefry::HostRandom;
use wgrad::tensor::TensorData;
use wgrad::train::ModelFile;

use super::answers::Answers;
use super::{demo, ready};
use crate::failure::{Failure, Result};
use crate::mutated_files::{index, many, mutate_bytes, mutate_text, survive};
use crate::train::demo::Source;
use crate::train::{demos, optimizer, saved, trainer};

/// A saved model and a file that it can be asked about.
struct Seed {
    model: Vec<u8>,
    question: Vec<u8>,
    ending: &'static str,
}

/// The file of an untrained model: what is in it does not matter here.
fn save(directory: &Path, demo: &str, model: &str, data: Option<PathBuf>) -> Vec<u8> {
    let demo = demos::find(demo).unwrap();
    let choice = demo.model(Some(model)).unwrap();
    let source =
        Source { path: data, image_size: demo.resizes.then_some(8), model: choice.name(), ..Source::default() };
    let mut data = match (demo.load)(&source) {
        Ok(data) => data,
        Err(Failure::Message(message)) => panic!("{message}"),
        Err(other) => panic!("{other:?}"),
    };
    let network = choice.fit_to(&mut data);
    let device = wgrad::Device::cpu();
    let mut trainer = trainer(&network, &data, &device, optimizer::make("sgd", 1.0).unwrap()).unwrap();
    trainer.predict(&data.test.take(&[0]).unwrap().column("x").unwrap().clone()).unwrap();
    let path = directory.join("saved.safetensors");
    trainer.save_model(&path, &saved::settings(&data, choice.name(), Precision::F32)).unwrap();
    fs::read(path).unwrap()
}

fn seeds(directory: &Path) -> Vec<Seed> {
    let pictures = directory.join("pictures");
    let jpeg = include_bytes!("../../tests/golden/progressive.jpg");
    for class in ["a", "b"] {
        fs::create_dir_all(pictures.join(class)).unwrap();
        (0..3).for_each(|number| fs::write(pictures.join(class).join(format!("{number}.jpg")), jpeg).unwrap());
    }
    let images = directory.join("images");
    fs::create_dir_all(&images).unwrap();
    let idx = |extents: &[u32], count: usize| -> Vec<u8> {
        let head =
            [0, 0, 8, extents.len() as u8].into_iter().chain(extents.iter().flat_map(|extent| extent.to_be_bytes()));
        head.chain((0..count).map(|k| (k % 10) as u8)).collect()
    };
    for part in ["train", "t10k"] {
        fs::write(images.join(format!("{part}-images-idx3-ubyte")), idx(&[2, 5, 5], 50)).unwrap();
        fs::write(images.join(format!("{part}-labels-idx1-ubyte")), idx(&[2], 2)).unwrap();
    }
    let sentences = directory.join("sentences");
    fs::create_dir_all(&sentences).unwrap();
    for file in ["rt-polarity.neg", "rt-polarity.pos"] {
        fs::write(sentences.join(file), format!("a film of {file}\n").repeat(9)).unwrap();
    }
    let row: Vec<String> = (0..64).map(|pixel| (pixel % 17).to_string()).collect();
    let names: Vec<String> = (0..64).map(|pixel| format!("p{pixel}")).collect();
    let table = format!("{},target\n{},3\n{},5\n", names.join(","), row.join(","), row.join(","));
    let text = "the little fox and the old owl went on and on, and the river went with them. ".repeat(2);
    let cancer = include_str!("../../data/breast-cancer.csv").lines().take(4).collect::<Vec<_>>().join("\n");
    let series =
        format!("month,sales\n{}", (0..60).map(|row| format!("2001-{row},{}\n", row * row % 50)).collect::<String>());
    let seed = |demo, model, data: Option<&Path>, question: &[u8], ending| Seed {
        model: save(directory, demo, model, data.map(Path::to_owned)),
        question: question.to_vec(),
        ending,
    };
    vec![
        seed("digits", "linear", None, table.as_bytes(), "csv"),
        seed("mnist", "linear", Some(&images), &idx(&[2, 5, 5], 50), "idx"),
        seed("images", "cnn", Some(&pictures), jpeg, "jpg"),
        seed("images", "resnet", Some(&pictures), jpeg, "jpg"),
        seed("tabular", "linear", None, cancer.as_bytes(), "csv"),
        seed("forecast", "rnn", None, series.as_bytes(), "csv"),
        seed("sentiment", "rnn", Some(&sentences), b"a fine film\na dull one\n", "txt"),
        seed("sentiment", "bow", Some(&sentences), b"a fine film\na dull one\n", "txt"),
        seed("sentiment", "tfidf", Some(&sentences), b"a fine film\na dull one\n", "txt"),
        seed("sentiment", "transformer", Some(&sentences), b"a fine film\na dull one\n", "txt"),
        seed("char-lm", "rnn", None, text.as_bytes(), "txt"),
        seed("word2vec", "skip-gram", None, b"river\nold fox owl\n", "txt"),
        seed("word2vec", "cbow", None, b"river\nold fox owl\n", "txt"),
        seed("translate", "transformer-small", None, b"merinu bodanlo mira solas.\nkora tesh ne mekis.\n", "txt"),
    ]
}

/// The model's file with other settings or parameters, whole by its checksum.
fn changed(path: &Path, random: &mut HostRandom) {
    let (tensors, metadata) = safetensors::read(path).unwrap();
    let mut tensors: Vec<(String, TensorData)> = tensors.into_iter().collect();
    let mut metadata: Vec<(String, String)> = metadata.into_iter().collect();
    let chosen = index(random, metadata.len());
    let other = metadata[index(random, metadata.len())].1.clone().into_bytes();
    match random.below(8) {
        0 => drop(metadata.remove(chosen)),
        1 => drop(tensors.remove(index(random, tensors.len()))),
        2 => {
            let swapped = tensors[index(random, tensors.len())].1.clone();
            let chosen = index(random, tensors.len());
            tensors[chosen].1 = swapped;
        }
        _ => {
            let mut value = metadata[chosen].1.clone().into_bytes();
            mutate_text(&mut value, &other, random);
            metadata[chosen].1 = String::from_utf8_lossy(&value).into_owned();
        }
    }
    safetensors::write(path, &tensors, &metadata).unwrap();
}

/// Answers a question of a seed's kind.
fn answer(model: &Path, question: &Path) -> Result {
    let file = ModelFile::read(model)?;
    let source = Source { path: Some(question.to_owned()), ..Source::default() };
    let (mut ready, _) = ready(&file, demo(&file)?, source, "cpu")?;
    let data = &ready.asked.data;
    if data.test.column("y").is_ok() {
        ready.trainer.evaluate(&data.test)?;
    }
    let question = ready.asked.question.as_ref().map_or_else(|| data.test.column("x"), Ok)?;
    let predictions = ready.trainer.predict(question)?;
    Answers::of(&predictions, &ready.asked).map(|_| ())
}

fn predict(count: u64) {
    let directory = tempfile::tempdir().unwrap();
    let seeds = seeds(directory.path());
    let model = directory.path().join("model.safetensors");
    for seed in &seeds {
        let question = directory.path().join(format!("question.{}", seed.ending));
        fs::write(&model, &seed.model).unwrap();
        fs::write(&question, &seed.question).unwrap();
        answer(&model, &question).unwrap();
    }
    let make = |random: &mut HostRandom| random.below(u64::MAX).to_le_bytes().to_vec();
    survive("predict", count, make, |_, random| {
        let seed = &seeds[index(random, seeds.len())];
        let question = directory.path().join(format!("question.{}", seed.ending));
        let (mut bytes, mut asked) = (seed.model.clone(), seed.question.clone());
        let kind = random.below(4);
        match kind {
            0 => mutate_bytes(&mut bytes, &seeds[0].model, random),
            1 => mutate_text(&mut asked, &seeds[0].question, random),
            _ => {}
        }
        fs::write(&model, &bytes).unwrap();
        fs::write(&question, &asked).unwrap();
        if kind > 1 {
            changed(&model, random);
        }
        answer(&model, &question)
    });
}

#[test]
fn mutated_models_and_questions() {
    predict(300);
}

#[test]
#[ignore = "takes minutes; tests/support/mutated_files.rs says how to run it"]
fn many_mutated_models_and_questions() {
    predict(many(100_000));
}
