//! `train sentiment`: whether a sentence of a film's review praises or complains, by a network that reads its words in their order, or by the
//! terms that occur in it.

mod terms;
mod words;

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use wgrad::data::{Dataset, Encoding, WordVocabulary, read_text, words as words_of};
use wgrad::graph::Tensor;
use wgrad::nn::Mode;
use wgrad::tensor::{DType, TensorData};
use wgrad::train::{Evaluation, ModelFile, ModelSettings, Trainer};

use super::demo::{Asked, Data, Defaults, Demo, ModelChoice, Names, Source, Task};
use super::network::Network;
use super::note::Note;
use super::options::Own;
use super::saved;
use super::show::Show;
use crate::failure::{Failure, Result};
use crate::output::counted;
use terms::{Logistic, Terms};
use words::{Reader, Reading};

const FILES: [&str; 2] = ["rt-polarity.neg", "rt-polarity.pos"];

/// The share of the sentences that are learned.
const TRAINING: f64 = 0.9;

/// Words that occur less often in the training part are as good as unknown.
const MINIMUM_COUNT: usize = 2;
const MAXIMUM_SIZE: usize = 20_000;

/// Longer sentences lose their ends.
const LONGEST: usize = 48;

/// Test sentences that are shown.
const SHOWN: usize = 6;

/// Of the models of terms, whose loss has one minimum.
const OF_TERMS: Defaults = Defaults { epochs: 10, batch_size: 64, optimizer: "adam", learning_rate: 1e-2, falls: true };

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
        ModelChoice {
            defaults: Some(OF_TERMS),
            ..ModelChoice::function(&["bow"], "counts of words, whatever their order, 1", network)
        },
        ModelChoice {
            defaults: Some(OF_TERMS),
            ..ModelChoice::function(&["tfidf"], "TF-IDF of words and pairs of words, 1", network)
        },
        ModelChoice::function(
            &["cnn"],
            "embedding 100, 100 filters of each of 3, 4 and 5 words, their maximum over the words, 1",
            network,
        ),
        ModelChoice::function(
            &["transformer"],
            "embedding 64 with positions, 2 encoder layers of 4 heads, their mean over the words, 1",
            network,
        ),
    ],
    defaults: Defaults { epochs: 4, batch_size: 64, optimizer: "adam", learning_rate: 2e-3, falls: true },
    load,
    ask,
    blank: Some(blank),
    own: Own::None,
    pictures: false,
    resizes: false,
};

/// How sentences become numbers, for a model.
#[derive(Clone, Debug)]
enum Encoder {
    /// Those of their words in order, up to a length.
    Words { reader: Reader, vocabulary: WordVocabulary, length: usize },
    /// Those of the terms that occur in them.
    Terms(Terms),
}

impl Encoder {
    /// Of the training part alone.
    fn fit(model: &str, texts: &[&str]) -> Result<Self> {
        match model {
            "bow" => Ok(Self::Terms(Terms::bag(texts)?)),
            "tfidf" => Ok(Self::Terms(Terms::tf_idf(texts)?)),
            _ => {
                let vocabulary = WordVocabulary::of(texts, MINIMUM_COUNT, MAXIMUM_SIZE);
                let length = texts.iter().map(|text| words_of(text).len()).max().unwrap_or(1).clamp(1, LONGEST);
                Ok(Self::Words { reader: Reader::named(model), vocabulary, length })
            }
        }
    }

    /// That of a saved model.
    fn of(file: &ModelFile, model: &str) -> Result<Self> {
        if matches!(model, "bow" | "tfidf") {
            return Terms::of(file, model == "bow").map(Self::Terms);
        }
        let length: usize = file.parse("length")?;
        if !(1..=LONGEST).contains(&length) {
            return Err(file
                .wrong(format!("its sentences have {length} words, and there can be from 1 to {LONGEST}"))
                .into());
        }
        let vocabulary =
            WordVocabulary::from_words(file.words("words")?).map_err(|error| file.wrong(error.to_string()))?;
        Ok(Self::Words { reader: Reader::named(model), vocabulary, length })
    }

    /// What a saved model says of it.
    fn settings(&self) -> ModelSettings {
        let settings = ModelSettings::new(SENTIMENT.name);
        match self {
            Self::Words { vocabulary, length, .. } => {
                settings.with_words("words", vocabulary.words()).with("length", length)
            }
            Self::Terms(terms) => terms.save(settings),
        }
    }

    /// Two parts, in rows of one length.
    fn encode_both<Text: AsRef<str>>(&self, first: &[Text], second: &[Text]) -> Result<(TensorData, TensorData)> {
        match self {
            Self::Words { vocabulary, length, .. } => {
                Ok((vocabulary.encode_padded(first, *length)?, vocabulary.encode_padded(second, *length)?))
            }
            Self::Terms(terms) => {
                let (first, second) = (terms.rows(first), terms.rows(second));
                let length = terms::longest(&first)?.max(terms::longest(&second)?);
                Ok((terms::padded(&first, length)?, terms::padded(&second, length)?))
            }
        }
    }

    fn network(&self) -> Network {
        match self {
            Self::Words { reader, vocabulary, .. } => {
                Network::of(Reading { reader: *reader, vocabulary: vocabulary.len() })
            }
            Self::Terms(terms) => Network::of(Logistic { terms: terms.len() }),
        }
    }

    /// For people.
    fn note(&self) -> Note {
        match self {
            Self::Words { vocabulary, length, .. } => {
                format!("{}, sentences of up to {length}", counted(vocabulary.len(), "word"))
            }
            Self::Terms(terms) => format!("{} of the training part", counted(terms.len(), "term")),
        }
        .into()
    }
}

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
    // The split is of numbers of sentences, since the encoder may only know the training part.
    let numbers = TensorData::from_vec((0..count as i32).collect(), [count])?;
    let all = Dataset::new([("x", numbers), ("y", TensorData::from_vec(labels, [count, 1])?)])?
        .with_class_names(["negative", "positive"]);
    let (train, test) = all.stratified_split("y", TRAINING, source.seed)?;
    let texts = |part: &Dataset| -> Result<Vec<&str>> {
        let numbers = part.labels("x")?;
        Ok(numbers.into_iter().filter_map(|number| sentences.get(number).map(String::as_str)).collect())
    };
    let (learned, unseen) = (texts(&train)?, texts(&test)?);
    let encoder = Encoder::fit(source.model, &learned)?;
    let (x, unseen_x) = encoder.encode_both(&learned, &unseen)?;
    let (train, test) = (train.map_column("x", |_| Ok(x))?, test.map_column("x", |_| Ok(unseen_x))?);
    let show = Verdicts { sentences: unseen.into_iter().take(SHOWN).map(str::to_owned).collect() };
    let (notes, settings) = (vec![encoder.note()], encoder.settings());
    Ok(Data { notes, settings, show: Some(Rc::new(show)), ..data(train, test, encoder.network()) })
}

/// A file with a sentence a line; or a directory with the two files, whose names are the answers.
fn ask(file: &ModelFile, source: &Source) -> Result<Asked> {
    let encoder = Encoder::of(file, source.model)?;
    let classes = saved::classes(file, 2)?;
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
    let (x, _) = encoder.encode_both(&sentences, &[])?;
    let train = saved::blank(file, x.dtype(), x.shape().get(1..).unwrap_or_default())?;
    let test = saved::questions(x, y, &classes)?;
    let data = data(train, test, encoder.network());
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

fn data(train: Dataset, test: Dataset, network: Network) -> Data {
    Data {
        train,
        test,
        validation: None,
        task: Task::Binary,
        // Numbers of words and of terms stay as they are.
        prepare: Some(Arc::new(|x: &Tensor, _: Mode| x.clone())),
        picture: None,
        drawn: None,
        notes: Vec::new(),
        epochs: None,
        network: Some(network),
        show: None,
        settings: ModelSettings::default(),
    }
}

/// Sentences of padding, for looking at programs.
fn blank(model: &str) -> Result<Data> {
    let examples = SENTIMENT.defaults.batch_size;
    let (x, network) = if matches!(model, "bow" | "tfidf") {
        let x = TensorData::zeros(DType::F32, [examples, 2 * LONGEST]);
        (x, Network::of(Logistic { terms: MAXIMUM_SIZE }))
    } else {
        let x = TensorData::zeros(DType::I32, [examples, LONGEST]);
        (x, Network::of(Reading { reader: Reader::named(model), vocabulary: MAXIMUM_SIZE }))
    };
    let all = Dataset::new([("x", x), ("y", TensorData::zeros(DType::F32, [examples, 1]))])?;
    Ok(data(all.clone(), all, network))
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
    let standard = || Network::of(Reading { reader: Reader::named("lstm"), vocabulary: MAXIMUM_SIZE });
    data.network.clone().unwrap_or_else(standard)
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
