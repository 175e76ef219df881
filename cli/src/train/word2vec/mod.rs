//! `train word2vec`: vectors of words from the words around them, judged by their neighbours, by analogies and by people's judgements.
//!
//! The examples are drawn anew in every epoch, and come as a stream; what the rest of the command sees as training data are some of them.

mod answers;
mod judgements;
mod map;
mod neighbours;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use wgrad::data::{Corpus, Dataset, Encoding, Source as _, Stream, WordWindows, read_text};
use wgrad::nn::Word2Vec;
use wgrad::tensor::TensorData;
use wgrad::train::{ModelFile, ModelSettings};

use super::demo::{Asked, Data, Defaults, Demo, Drawn, ModelChoice, Names, Source, Task};
use super::network::Network;
use super::note::Note;
use super::options::Own;
use super::saved;
use super::tale;
use crate::failure::{Failure, Result};
use crate::output::{counted, grouped};
pub use answers::answer;
use judgements::Judgements;
use neighbours::Neighbours;

/// What is used where the user says nothing, as in word2vec.
const WIDTH: u64 = 100;
const WINDOW: u64 = 5;
const NEGATIVES: u64 = 5;
const MIN_COUNT: u64 = 5;
const SUBSAMPLE: f64 = 1e-3;

/// The widest window that makes sense, and so the largest that a saved model may have.
const WIDEST: usize = 1000;

/// Examples that the loss is measured on.
const MEASURED: usize = 8192;

/// The epoch that they are of: one that no run gets to.
const NEVER: u64 = u64::MAX;

/// The continuous bag of words.
const CBOW: &str = "cbow";

pub const WORD2VEC: Demo = Demo {
    name: "word2vec",
    about: "vectors of words from the words around them: a bundled tale, or --data FILE|DIR with a text and human judgements",
    models: &[
        ModelChoice::function(&["skip-gram"], "each word tells those around it, among others that are drawn", network),
        ModelChoice::function(
            &[CBOW],
            "the mean of the words around a word tells it, among others that are drawn",
            network,
        ),
    ],
    defaults: Defaults { epochs: 5, batch_size: 1024, optimizer: "sgd", learning_rate: 0.025, falls: true },
    load,
    ask,
    blank: None,
    own: Own::Vectors,
    pictures: false,
    resizes: false,
};

/// A text, what it is called, and the lists of judgements beside it.
fn read(source: &Source) -> Result<(String, String, Vec<Judgements>)> {
    let given = source.vectors.similarity.as_deref().map(judgements::read_all).transpose()?;
    let Some(path) = &source.path else {
        return Ok((tale::text(), "the bundled tale".to_owned(), given.unwrap_or_default()));
    };
    if !path.is_dir() {
        return Ok((read_text(path, Encoding::Utf8)?, path.display().to_string(), given.unwrap_or_default()));
    }
    let (lists, texts) = judgements::sorted(path)?;
    // Notes on where a text comes from are shorter than it.
    let text = largest(&texts).ok_or_else(|| {
        Failure::new(format!(
            "{}: it has no file of text (.txt, or .gz) that vectors of words could be learned from",
            path.display()
        ))
    })?;
    let found = match given {
        Some(given) => given,
        None => lists.iter().map(|path| Judgements::read(path)).collect::<Result<_>>()?,
    };
    Ok((read_text(text, Encoding::Utf8)?, text.display().to_string(), found))
}

/// The largest of some files.
fn largest(paths: &[PathBuf]) -> Option<&Path> {
    let size = |path: &PathBuf| path.metadata().map_or(0, |file| file.len());
    paths.iter().max_by_key(|path| size(path)).map(PathBuf::as_path)
}

fn load(source: &Source) -> Result<Data> {
    let (text, origin, lists) = read(source)?;
    let options = &source.vectors;
    let minimum = options.min_count.unwrap_or(MIN_COUNT);
    let corpus = Corpus::of(&text, minimum).map_err(|error| Failure::new(format!("{origin}: {error}")))?;
    let corpus = Arc::new(corpus);
    let is_bag = source.model == CBOW;
    let start = if is_bag { WordWindows::cbow(&corpus) } else { WordWindows::skip_gram(&corpus) };
    let window = source.forecasting.window.unwrap_or(WINDOW);
    if window > WIDEST as u64 {
        return Err(Failure::new(format!("--window {window} is more than {WIDEST} words on either side")));
    }
    let windows = start.window(window as usize).subsample(options.subsample.unwrap_or(SUBSAMPLE)).seed(source.seed);
    let examples = windows.examples(0)?;
    let few = || Failure::new(format!("{origin}: no two words are near each other, so there is nothing to learn"));
    let part = |epoch: u64| -> Result<Dataset> {
        let mut windows = windows.clone();
        windows.begin(epoch)?;
        windows.next()?.ok_or_else(few)
    };
    let (train, test) = (part(0)?, part(NEVER)?);
    let test = test.take(&(0..test.len().min(MEASURED)).collect::<Vec<_>>())?;
    let words = corpus.words().len();
    let mut notes = vec![Note::from(format!(
        "{} of {origin}, {} of them {} that occur{} {minimum} times or more",
        counted(corpus.words_read(), "word"),
        grouped(corpus.len() as u64),
        counted(words, "different one"),
        if words == 1 { "s" } else { "" },
    ))];
    notes.extend(
        lists
            .iter()
            .map(|list| Note::from(format!("{} of {} judged by people", counted(list.len(), "pair"), list.name))),
    );
    let [width, negatives] = [options.width.unwrap_or(WIDTH), options.negatives.unwrap_or(NEGATIVES)];
    let settings = ModelSettings::new(WORD2VEC.name)
        .with_words("words", corpus.words())
        .with("width", width)
        .with("negatives", negatives)
        .with("window", window);
    let model = model(source.model, corpus.counts(), width as usize, negatives as usize);
    let name = format!("{} of seed {}", source.model, source.seed);
    let stream = {
        let description = format!(
            "{name}, window {window}, subsample {}, {} words",
            options.subsample.unwrap_or(SUBSAMPLE),
            corpus.len()
        );
        move || Stream::new(windows.clone()).named(description.clone())
    };
    let show = Neighbours::new(corpus.words().to_vec(), lists, options.vectors.clone(), options.map.clone());
    Ok(Data {
        notes,
        settings,
        drawn: Some(Drawn { stream: Rc::new(stream), examples, batch: batch(words) }),
        show: Some(Rc::new(show)),
        ..data(train, test, model)
    })
}

/// Examples of a step where the user says nothing: all pairs of a step begin from the same vectors, so that with few words many of them would
/// move one word at once, and too far.
fn batch(words: usize) -> usize {
    (words / 8).clamp(16, WORD2VEC.defaults.batch_size)
}

fn model(name: &str, counts: &[u64], width: usize, negatives: usize) -> Word2Vec {
    let model = if name == CBOW { Word2Vec::cbow(counts, width) } else { Word2Vec::skip_gram(counts, width) };
    model.negatives(negatives)
}

/// A saved model, to be asked for the neighbours of words.
fn ask(file: &ModelFile, source: &Source) -> Result<Asked> {
    let words = file.words("words")?;
    let (width, negatives, window) =
        (file.parse::<usize>("width")?, file.parse::<usize>("negatives")?, file.parse::<usize>("window")?);
    if words.is_empty() || width == 0 || negatives == 0 || negatives > 100 || !(1..=WIDEST).contains(&window) {
        let count = words.len();
        return Err(file
            .wrong(format!(
                "it has vectors of {width} numbers for {}, {negatives} negatives and a window of {window}, which cannot be",
                counted(count, "word")
            ))
            .into());
    }
    if words.len().checked_mul(width).is_none_or(|elements| elements > i32::MAX as usize) {
        return Err(file.wrong(format!("it has vectors of {width} numbers, which is too many")).into());
    }
    let columns = if source.model == CBOW { 1 + 2 * window } else { 2 };
    let blank = saved::blank(file, wgrad::tensor::DType::I32, &[columns])?;
    let model = model(source.model, &vec![1; words.len()], width, negatives);
    let asked = Asked::new(Data { settings: file.settings().clone(), ..data(blank.clone(), blank, model) });
    Ok(Asked { names: Some(Names { of: "word", names: words }), ..asked })
}

fn data(train: Dataset, test: Dataset, model: Word2Vec) -> Data {
    Data {
        train,
        test,
        validation: None,
        drawn: None,
        task: Task::Words { scores: 1 + model.negatives },
        prepare: None,
        picture: None,
        notes: Vec::new(),
        epochs: None,
        network: Some(Network::of(model)),
        show: None,
        settings: ModelSettings::default(),
    }
}

/// What `load` has made.
fn network(data: &Data) -> Network {
    data.network.clone().unwrap_or_else(|| Network::of(Word2Vec::skip_gram(&[1], 1)))
}

/// The name of the table that the vectors are in.
const TABLE: &str = "input.weight";

/// The vectors of a session, by words.
fn embeddings(words: &[String], vectors: &TensorData) -> Result<wgrad::data::WordEmbeddings> {
    Ok(wgrad::data::WordEmbeddings::new(words.to_vec(), vectors)?)
}
