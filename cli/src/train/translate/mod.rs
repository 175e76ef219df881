//! `train translate`: an encoder and a decoder learn to translate sentences, of a small made-up language or of German or French, into English.

mod beam;
mod corpus;
mod network;
mod picture;
mod rows;
mod search;
mod show;
mod texts;
mod toy;

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use wgrad::data::{Dataset, WordVocabulary};
use wgrad::graph::Tensor;
use wgrad::nn::Mode;
use wgrad::scalar::threefry::HostRandom;
use wgrad::tensor::DType;
use wgrad::train::{ModelFile, ModelSettings};

use super::demo::{Asked, Data, Defaults, Demo, ModelChoice, Source, Task};
use super::network::Network;
use super::note::Note;
use super::options::Own;
use super::saved;
use crate::failure::{Failure, Result};
use crate::output::{counted, grouped};
use corpus::{PARTS, Pairs};
use network::{Sizes, Translator};
use rows::{BEGIN, END, LENGTH, Languages, PLANES, packed};
use show::Translations;

/// The name of the made-up language.
const MADE_UP: &str = "made-up";

/// Sentences of the made-up language: learned, watched and tested.
const TOY: [usize; 3] = [12_000, 300, 300];

/// Times over the data where the user says nothing.
const EPOCHS: u64 = 10;
const TOY_EPOCHS: u64 = 8;

/// Words that occur less often in the training part are as good as unknown.
const MINIMUM_COUNT: usize = 2;
const MAXIMUM_SIZE: usize = 20_000;

/// Beginnings of translations that are followed where the user says nothing.
const BEAM: usize = 4;

/// A network beyond these sizes is a mistake, or malice.
const MOST_LAYERS: usize = 64;
const MOST_WIDTH: usize = 8192;

pub const TRANSLATE: Demo = Demo {
    name: "translate",
    about: "sentences into English: from a small made-up language, or with --data DIR from German or French (Multi30k)",
    models: &[
        ModelChoice::function(
            &["transformer"],
            "encoder and decoder of 3 layers, 4 heads and width 128; for the made-up language of 2 layers and width 64",
            network,
        ),
        ModelChoice::function(
            &["transformer-large"],
            "encoder and decoder of 3 layers, 8 heads and width 256",
            network,
        ),
        ModelChoice::function(&["transformer-small"], "encoder and decoder of 2 layers, 4 heads and width 64", network),
    ],
    defaults: Defaults { epochs: EPOCHS, batch_size: 16, optimizer: "adam", learning_rate: 1e-3, falls: true },
    load,
    ask,
    blank: None,
    own: Own::Translating,
    pictures: false,
    resizes: false,
};

impl Sizes {
    fn of(model: &str, made_up: bool) -> Self {
        match model {
            "transformer-large" => Self { width: 256, heads: 8, layers: 3, feed_forward: 1024, dropout: 0.1 },
            "transformer" if !made_up => Self { width: 128, heads: 4, layers: 3, feed_forward: 512, dropout: 0.1 },
            _ => Self { width: 64, heads: 4, layers: 2, feed_forward: 256, dropout: 0.1 },
        }
    }

    fn save(self, settings: ModelSettings) -> ModelSettings {
        let Self { width, heads, layers, feed_forward, dropout } = self;
        let settings = settings.with("width", width).with("heads", heads).with("layers", layers);
        settings.with("feed_forward", feed_forward).with("dropout", dropout)
    }

    fn read(file: &ModelFile) -> Result<Self> {
        let sizes = Self {
            width: file.parse("width")?,
            heads: file.parse("heads")?,
            layers: file.parse("layers")?,
            feed_forward: file.parse("feed_forward")?,
            dropout: file.parse("dropout")?,
        };
        let is_possible = (1..=MOST_WIDTH).contains(&sizes.width)
            && (1..=MOST_LAYERS).contains(&sizes.layers)
            && (1..=MOST_WIDTH * 8).contains(&sizes.feed_forward)
            && sizes.heads > 0
            && sizes.width.is_multiple_of(sizes.heads)
            && (0.0..=1.0).contains(&sizes.dropout);
        if is_possible { Ok(sizes) } else { Err(file.wrong(format!("there is no network of {sizes:?}")).into()) }
    }
}

fn load(source: &Source) -> Result<Data> {
    let from = source.translating.from.as_deref();
    let ([train, validation, test], from) = match &source.path {
        Some(directory) => {
            let from = from.unwrap_or("de");
            let [train, validation, test] = PARTS.map(|part| parts(directory, part, from));
            ([train?, validation?, test?], from)
        }
        None if from.is_some() => {
            return Err(Failure::new("--from is a language of --data DIR, and without it a made-up one is learned"));
        }
        None => (made_up(), MADE_UP),
    };
    let special = [BEGIN.0, END.0];
    let languages = Languages {
        source: WordVocabulary::with_specials(special, &train.sources, MINIMUM_COUNT, MAXIMUM_SIZE)?,
        target: WordVocabulary::with_specials(special, &train.targets, MINIMUM_COUNT, MAXIMUM_SIZE)?,
    };
    let sizes = Sizes::of(source.model, source.path.is_none());
    let translator = Translator { sizes, source_words: languages.source.len(), target_words: languages.target.len() };
    let mut pairs = numbers(&languages, &train);
    if pairs.is_empty() {
        return Err(Failure::new(format!("all of the sentences have more than {} words", LENGTH - 1)));
    }
    let left_out = train.len() - pairs.len();
    // Sentences that are near each other in a file may be alike; those of a row are learned together.
    HostRandom::new(source.seed).shuffle(&mut pairs);
    let rows = packed(&pairs)?;
    let mut note = format!(
        "{} of sentences in {}, {} and {} of the two languages",
        counted(pairs.len(), "pair"),
        counted(rows.len(), "row"),
        counted(languages.source.len(), "word"),
        grouped(languages.target.len() as u64),
    );
    if left_out > 0 {
        note = format!("{note}; {} of more than {} words left out", counted(left_out, "pair"), LENGTH - 1);
    }
    let settings = ModelSettings::new(TRANSLATE.name)
        .with("from", from)
        .with_words("source_words", languages.source.words())
        .with_words("target_words", languages.target.words());
    let (validation_rows, test_rows) = (examples(&languages, &validation)?, examples(&languages, &test)?);
    let show = Translations::new(from, languages, translator, source).watching(validation).testing(test);
    Ok(Data {
        notes: vec![note.into()],
        settings: sizes.save(settings),
        validation: Some(validation_rows),
        epochs: Some(if source.path.is_some() { EPOCHS } else { TOY_EPOCHS }),
        ..data(rows, test_rows, translator, show)
    })
}

fn parts(directory: &Path, part: &str, from: &str) -> Result<Pairs> {
    if directory.is_dir() {
        return Pairs::read(directory, part, from);
    }
    let what = if directory.exists() { "is no directory" } else { "does not exist" };
    Err(Failure::new(format!("{} {what}; translate wants a directory with {}", directory.display(), PARTS.join(", "))))
}

/// The parts of the made-up language.
fn made_up() -> [Pairs; 3] {
    let all = toy::pairs(TOY.iter().sum());
    let mut first = 0;
    // What is tested stays the same, however much is learned.
    let [test, validation, train] = [TOY[2], TOY[1], TOY[0]].map(|count| {
        let part = first..first + count;
        first += count;
        Pairs { sources: all.sources[part.clone()].to_vec(), targets: all.targets[part].to_vec() }
    });
    [train, validation, test]
}

/// The tokens of those pairs that fit into a row.
fn numbers(languages: &Languages, pairs: &Pairs) -> Vec<(Vec<i32>, Vec<i32>)> {
    let fits = |(source, target): &(&str, &str)| {
        [source, target].into_iter().all(|text| wgrad::data::words(text).len() < LENGTH)
    };
    pairs.iter().filter(fits).map(|(source, target)| (languages.source(source), languages.target(target))).collect()
}

/// Rows by which a model is judged, of sentences in their order.
fn examples(languages: &Languages, pairs: &Pairs) -> Result<Dataset> {
    // A longer one loses its end, as it does where it is translated.
    let all: Vec<_> =
        pairs.iter().map(|(source, target)| (languages.source(source), languages.target(target))).collect();
    packed(&all)
}

/// A directory as what was learned from, whose test part is translated and scored; or a file with a sentence a line.
fn ask(file: &ModelFile, source: &Source) -> Result<Asked> {
    let (from, sizes) = (file.text("from")?, Sizes::read(file)?);
    let words = |name: &str| -> Result<WordVocabulary> {
        let words = WordVocabulary::from_words(file.words(name)?).map_err(|error| file.wrong(error.to_string()))?;
        let has = |(word, number): (&str, i32)| words.number(word) == Some(number);
        let is_ours = has(BEGIN) && has(END);
        if is_ours {
            Ok(words)
        } else {
            Err(file.wrong(format!("its {name:?} are not of a model that translates")).into())
        }
    };
    let languages = Languages { source: words("source_words")?, target: words("target_words")? };
    let translator = Translator { sizes, source_words: languages.source.len(), target_words: languages.target.len() };
    let path = saved::asked(source, "a file with a sentence a line, or a directory as was learned from")?;
    let pairs = if path.is_dir() {
        Pairs::read(path, PARTS[2], from)?
    } else {
        Pairs { sources: corpus::sentences(path)?, targets: Vec::new() }
    };
    let unknown = |text: &String| languages.source.encode(text).contains(&WordVocabulary::UNKNOWN);
    let strange = pairs.sources.iter().filter(|text| unknown(text)).count();
    let notes = if strange == 0 {
        Vec::new()
    } else {
        vec![Note::Text(format!("{} with words that the model does not know", counted(strange, "sentence")))]
    };
    let test = if pairs.targets.is_empty() {
        let blank: Vec<_> = pairs.sources.iter().map(|text| (languages.source(text), vec![END.1])).collect();
        Dataset::new([("x", packed(&blank)?.column("x")?.clone())])?
    } else {
        examples(&languages, &pairs)?
    };
    let train = saved::blank(file, DType::I32, &[PLANES, 2 * LENGTH])?;
    let show = Translations::new(from, languages, translator, source).testing(pairs);
    Ok(Asked::new(Data { notes, ..data(train, test, translator, show) }))
}

fn data(train: Dataset, test: Dataset, translator: Translator, show: Translations) -> Data {
    Data {
        train,
        test,
        validation: None,
        drawn: None,
        task: Task::Translation { vocabulary: translator.target_words },
        // Numbers of words stay as they are.
        prepare: Some(Arc::new(|x: &Tensor, _: Mode| x.clone())),
        picture: None,
        notes: Vec::new(),
        epochs: None,
        network: Some(Network::of(translator)),
        show: Some(Rc::new(show)),
        settings: ModelSettings::default(),
    }
}

/// What `load` has made.
fn network(data: &Data) -> Network {
    let words = data.task.outputs();
    let standard =
        || Network::of(Translator { sizes: Sizes::of("transformer", false), source_words: words, target_words: words });
    data.network.clone().unwrap_or_else(standard)
}
