//! `train sentiment`: whether a sentence of a film's review praises or complains, by a network that reads it in both directions.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use wgrad::data::{Dataset, Encoding, WordVocabulary, read_text, words};
use wgrad::graph::{Graph, Tensor};
use wgrad::nn::{Dropout, EmbeddingLayer, Initializer, Linear, Mode, Model, Recurrent, RecurrentInputs, RecurrentKind};
use wgrad::tensor::{DType, TensorData};
use wgrad::train::{Evaluation, ModelFile, ModelSettings, Trainer};

use super::demo::{Asked, Data, Defaults, Demo, ModelChoice, Names, Source, Task};
use super::network::Network;
use super::note::Note;
use super::show::Show;
use super::{recurrent, saved};
use crate::failure::{Failure, Result};
use crate::output::counted;

const FILES: [&str; 2] = ["rt-polarity.neg", "rt-polarity.pos"];

/// The share of the sentences that are learned.
const TRAINING: f64 = 0.9;

/// Words that occur less often in the training part are as good as unknown.
const MINIMUM_COUNT: usize = 2;
const MAXIMUM_SIZE: usize = 20_000;

/// Longer sentences lose their ends.
const LONGEST: usize = 48;

const EMBEDDING: usize = 100;
const HIDDEN: usize = 64;
const DROPOUT: f64 = 0.5;

/// Test sentences that are shown.
const SHOWN: usize = 6;

pub const SENTIMENT: Demo = Demo {
    name: "sentiment",
    about: "whether a sentence of a film's review is positive, from --data DIR (10,662 sentences)",
    models: &[
        ModelChoice::function(
            &["lstm"],
            "embedding 100, LSTM 64 in both directions, their mean over the words, 1",
            network,
        ),
        ModelChoice::function(
            &["gru"],
            "embedding 100, GRU 64 in both directions, their mean over the words, 1",
            network,
        ),
        ModelChoice::function(
            &["rnn"],
            "embedding 100, RNN 64 in both directions, their mean over the words, 1",
            network,
        ),
    ],
    defaults: Defaults { epochs: 4, batch_size: 64, optimizer: "adam", learning_rate: 2e-3, falls: true },
    load,
    ask,
    blank: Some(blank),
    pictures: false,
    resizes: false,
};

fn load(source: &Source) -> Result<Data> {
    let Some(directory) = &source.path else {
        return Err(Failure::new(format!(
            "sentiment wants --data DIR with the two files {} and {} (a sentence a line, Latin-1); get them from \
             https://www.cs.cornell.edu/people/pabo/movie-review-data/rt-polaritydata.tar.gz",
            FILES[0], FILES[1]
        )));
    };
    if !directory.is_dir() {
        return Err(Failure::new(format!("{}: there is no such directory", directory.display())));
    }
    let (sentences, labels) = labelled(directory)?;
    let count = sentences.len();
    // The split is of numbers of sentences, since the vocabulary may only know the training part.
    let numbers = TensorData::from_vec((0..count as i32).collect(), [count])?;
    let all = Dataset::new([("x", numbers), ("y", TensorData::from_vec(labels, [count, 1])?)])?
        .with_class_names(["negative", "positive"]);
    let (train, test) = all.stratified_split("y", TRAINING, source.seed)?;
    let texts = |part: &Dataset| -> Result<Vec<&str>> {
        let numbers = part.labels("x")?;
        Ok(numbers.into_iter().filter_map(|number| sentences.get(number).map(String::as_str)).collect())
    };
    let (learned, unseen) = (texts(&train)?, texts(&test)?);
    let vocabulary = WordVocabulary::of(&learned, MINIMUM_COUNT, MAXIMUM_SIZE);
    let length = learned.iter().map(|text| words(text).len()).max().unwrap_or(1).clamp(1, LONGEST);
    let known = vocabulary.len();
    let encode = |part: &Dataset, texts: &[&str]| part.map_column("x", |_| vocabulary.encode_padded(texts, length));
    let (train, test) = (encode(&train, &learned)?, encode(&test, &unseen)?);
    let settings = ModelSettings::new(SENTIMENT.name).with_words("words", vocabulary.words()).with("length", length);
    let show = Verdicts { sentences: unseen.into_iter().take(SHOWN).map(str::to_owned).collect() };
    let notes = vec![Note::from(format!("{}, sentences of up to {length}", counted(known, "word")))];
    Ok(Data { notes, settings, show: Some(Rc::new(show)), ..data(train, test, recurrent::kind(source.model), known) })
}

/// A file with a sentence a line; or a directory with the two files, whose names are the answers.
fn ask(file: &ModelFile, source: &Source) -> Result<Asked> {
    let length: usize = file.parse("length")?;
    if !(1..=LONGEST).contains(&length) {
        return Err(file
            .wrong(format!("its sentences have {length} words, and there can be from 1 to {LONGEST}"))
            .into());
    }
    let vocabulary = WordVocabulary::from_words(file.words("words")?).map_err(|error| file.wrong(error.to_string()))?;
    let classes = saved::classes(file, 2)?;
    let train = saved::blank(file, DType::I32, &[length])?;
    let path =
        saved::asked(source, "a file with a sentence a line, or a directory with rt-polarity.neg and rt-polarity.pos")?;
    let (sentences, y) = if path.is_dir() {
        let (sentences, labels) = labelled(path)?;
        let count = sentences.len();
        (sentences, Some(TensorData::from_vec(labels, [count, 1])?))
    } else {
        // The data that was learned is Latin-1; most others are UTF-8, which Latin-1 rarely passes for.
        let text = match read_text(path, Encoding::Utf8) {
            Err(wgrad::Error::Format { .. }) => read_text(path, Encoding::Latin1)?,
            other => other?,
        };
        (sentences_of(&text), None)
    };
    if sentences.is_empty() {
        return Err(Failure::new(format!("{}: there is no sentence in it", path.display())));
    }
    let test = saved::questions(vocabulary.encode_padded(&sentences, length)?, y, &classes)?;
    let data = data(train, test, recurrent::kind(source.model), vocabulary.len());
    Ok(Asked { names: Some(Names { of: "text", names: sentences }), ..Asked::new(data) })
}

/// The sentences of both files, with 0 for the negative and 1 for the positive ones.
fn labelled(directory: &Path) -> Result<(Vec<String>, Vec<f32>)> {
    let (mut sentences, mut labels) = (Vec::new(), Vec::new());
    for (label, file) in FILES.iter().enumerate() {
        let found = lines(directory, file)?;
        labels.extend(std::iter::repeat_n(label as f32, found.len()));
        sentences.extend(found);
    }
    Ok((sentences, labels))
}

fn data(train: Dataset, test: Dataset, kind: RecurrentKind, vocabulary: usize) -> Data {
    Data {
        train,
        test,
        task: Task::Binary,
        // Words are numbers that stay numbers.
        prepare: Some(Arc::new(|x: &Tensor, _: Mode| x.clone())),
        picture: None,
        notes: Vec::new(),
        epochs: None,
        network: Some(Network::of(Reading { kind, vocabulary })),
        show: None,
        settings: ModelSettings::default(),
    }
}

/// Sentences of padding, for looking at programs.
fn blank() -> Result<Data> {
    let examples = SENTIMENT.defaults.batch_size;
    let x = TensorData::zeros(DType::I32, [examples, LONGEST]);
    let all = Dataset::new([("x", x), ("y", TensorData::zeros(DType::F32, [examples, 1]))])?;
    Ok(data(all.clone(), all, RecurrentKind::Lstm, MAXIMUM_SIZE))
}

/// The sentences of a file.
fn lines(directory: &Path, file: &str) -> Result<Vec<String>> {
    let path = directory.join(file);
    if !path.is_file() {
        return Err(Failure::new(format!(
            "{} has no file {file}; sentiment wants {} and {} there",
            directory.display(),
            FILES[0],
            FILES[1]
        )));
    }
    let text = read_text(&path, Encoding::Latin1)?;
    let found = sentences_of(&text);
    if found.len() < 2 {
        return Err(Failure::new(format!("{}: there are fewer than two sentences in it", path.display())));
    }
    Ok(found)
}

/// The lines of a text that have something in them.
fn sentences_of(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// What `load` has made.
fn network(data: &Data) -> Network {
    data.network.clone().unwrap_or_else(|| Network::of(Reading { kind: RecurrentKind::Lstm, vocabulary: MAXIMUM_SIZE }))
}

/// The network.
#[derive(Clone, Copy, Debug)]
struct Reading {
    kind: RecurrentKind,
    vocabulary: usize,
}

impl Model for Reading {
    #[track_caller]
    fn forward(&self, g: &Graph, x: &Tensor, mode: Mode) -> Tensor {
        // Vectors that begin small let what is learned soon outweigh what was drawn.
        let initial = Initializer::Normal { mean: 0.0, std: 0.1 };
        let padding = WordVocabulary::PADDING;
        let table = EmbeddingLayer::new(self.vocabulary, EMBEDDING).initializer(initial).padding_idx(padding as isize);
        let vectors = table.build(g, "embedding").forward(&x.transpose(0, 1));
        // A sentence without words counts as one of padding.
        let lengths = x.ne(f64::from(padding)).cast(DType::I32).sum([1]).maximum(1);
        let read = Dropout::new(DROPOUT).forward(&vectors, mode);
        let options = Recurrent::new().bidirectional();
        let found =
            recurrent::forward(g, self.kind, &read, HIDDEN, options, &RecurrentInputs::new().lengths(&lengths), mode);
        // Outputs beyond a sentence's end are zeros.
        let mean = found.outputs.sum([0]) / lengths.cast(DType::F32).unsqueeze(-1);
        Linear::new(g, "head", 2 * HIDDEN, 1).forward(&Dropout::new(DROPOUT).forward(&mean, mode)).sigmoid()
    }
}

/// A few sentences of the test part with what the model makes of them.
struct Verdicts {
    sentences: Vec<String>,
}

impl Show for Verdicts {
    fn samples(&self, data: &Data, _: &mut Trainer, evaluation: &Evaluation) -> Result<Vec<String>> {
        let truths = data.test.labels("y")?;
        let names = ["negative", "positive"];
        let verdict = |((sentence, probability), truth): ((&String, f64), &usize)| {
            let guess = usize::from(probability > 0.5);
            let sure = if guess == 1 { probability } else { 1.0 - probability };
            let name = |class: usize| names.get(class).copied().unwrap_or_default();
            let note = if guess == *truth { String::new() } else { format!(" (wrong: it is {})", name(*truth)) };
            format!("{} {:.0}%{note}: {sentence}", name(guess), sure * 100.0)
        };
        Ok(self.sentences.iter().zip(evaluation.predictions.to_f64_vec()).zip(&truths).map(verdict).collect())
    }
}
