//! `train char-lm`: a network reads a text character by character, learns to tell the next one, and writes.
//!
//! The text is cut into streams that a batch goes along side by side. A recurrent network's state at the end of a batch stays on the
//! device and begins the next, so what it knows reaches further back than its gradients do. A transformer sees one sequence.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use wgrad::data::{CharVocabulary, Dataset, Encoding, read_text, streams};
use wgrad::graph::{Graph, Tensor};
use wgrad::nn::{KeyValueCache, Mode};
use wgrad::scalar::threefry::HostRandom;
use wgrad::session::{Program, Session};
use wgrad::tensor::{DType, TensorData, TensorType};
use wgrad::train::{Evaluation, ModelFile, ModelSettings, Trainer};

use super::demo::{Asked, Data, Defaults, Demo, ModelChoice, Source, Task};
use super::network::Network;
use super::note::Note;
use super::options::Own;
use super::show::Show;
use super::tale;
use super::{letters::Letters, saved};
use crate::failure::{Failure, Result};
use crate::output::{counted, grouped};

/// Characters over which gradients are propagated back: the length of a training window.
const STEPS: usize = 64;

/// Streams of the test part, or fewer where it is short.
const TEST_STREAMS: usize = 32;

/// The share of the text that is learned; what is left, its end, is the test.
const TRAINING: f64 = 0.9;

/// Characters that are written after an epoch, and at the end.
const SHORT: usize = 160;
const LONG: usize = 500;

/// The sub-stream of a seed that characters are drawn from.
const DRAWS: u32 = 0x7465_7874;

/// What an output's name is in the program that writes.
const LOGITS: &str = "logits";

/// The name of its input.
const CHARACTER: &str = "character";

/// The name of the other one, where there is one: the position of the first character.
const POSITION: &str = "position";

/// What comes before the names of its keys and values, or of its states.
const CACHE: &str = "writing";
const WRITING: &str = "writing/";

pub const CHAR_LM: Demo = Demo {
    name: "char-lm",
    about: "the next character of a text, from which it writes: a bundled tale, or --data FILE.txt",
    models: &[
        ModelChoice::function(&["lstm"], "embedding 64, LSTM 256", network),
        ModelChoice::function(&["gru"], "embedding 64, GRU 256", network),
        ModelChoice::function(&["rnn"], "embedding 64, RNN 256 (tanh)", network),
        ModelChoice::function(&["lstm-large"], "embedding 64, two layers of LSTM 512 with dropout", network),
        ModelChoice {
            defaults: Some(Defaults {
                epochs: 2,
                batch_size: 12,
                optimizer: "adamw",
                learning_rate: 1e-3,
                falls: true,
            }),
            ..ModelChoice::function(
                &["gpt"],
                "a transformer of 4 layers, 4 heads and width 128, which sees 64 characters",
                network,
            )
        },
    ],
    defaults: Defaults { epochs: 20, batch_size: 64, optimizer: "adam", learning_rate: 2e-3, falls: true },
    load,
    ask,
    blank: None,
    own: Own::Writing,
    pictures: false,
    resizes: false,
};

fn load(source: &Source) -> Result<Data> {
    let (text, origin) = match &source.path {
        Some(path) if path.is_dir() => {
            return Err(Failure::new(format!("{} is a directory, and char-lm reads a file of text", path.display())));
        }
        Some(path) => (read_text(path, Encoding::Utf8)?, path.display().to_string()),
        None => (tale::text(), "the bundled tale".to_owned()),
    };
    let vocabulary = CharVocabulary::of(&text);
    let prompt = source.writing.prompt.clone().unwrap_or_default();
    let start = vocabulary.encode(&prompt).map_err(|error| Failure::new(format!("--prompt: {error}, {origin}")))?;
    let numbers = vocabulary.encode(&text)?;
    let (learned, rest) = numbers.split_at((numbers.len() as f64 * TRAINING) as usize);
    let short = |part: &str| {
        let part = part.to_owned();
        move |error: wgrad::Error| Failure::new(format!("{origin}, {part}: {error}"))
    };
    let batch = source.batch_size.unwrap_or(defaults(source.model).batch_size);
    let train = streams(learned, batch, STEPS).map_err(short.clone()("the first nine tenths, for training"))?;
    let test_streams = test_streams(rest.len());
    let test = streams(rest, test_streams, STEPS).map_err(short("the last tenth, for the test"))?;
    let notes = vec![Note::from(format!(
        "{}, {} different ones; {STEPS} to a sequence",
        counted(numbers.len(), "character"),
        vocabulary.len()
    ))];
    let first = vocabulary.number('\n').or(numbers.first().copied()).unwrap_or_default();
    let settings =
        ModelSettings::new(CHAR_LM.name).with("characters", vocabulary.characters().iter().collect::<String>());
    let start = if start.is_empty() { vec![first] } else { start };
    Ok(Data { notes, settings, ..data(train, test, test_streams, vocabulary, start, source) })
}

/// A text to be scored, and what is needed to write one.
fn ask(file: &ModelFile, source: &Source) -> Result<Asked> {
    let vocabulary = CharVocabulary::of(file.text("characters")?);
    if vocabulary.is_empty() {
        return Err(file.wrong("it has no characters").into());
    }
    let prompt = source.writing.prompt.clone().unwrap_or_default();
    let start = vocabulary.encode(&prompt).map_err(|error| Failure::new(format!("--prompt: {error} of the model")))?;
    let start = if start.is_empty() { vec![vocabulary.number('\n').unwrap_or_default()] } else { start };
    let train = saved::blank(file, DType::I32, &[STEPS])?;
    let Some(path) = &source.path else {
        return Ok(Asked::new(data(train.clone(), train, 1, vocabulary, start, source)));
    };
    let inside = |error: wgrad::Error| Failure::new(format!("{}: {error}", path.display()));
    let numbers = vocabulary.encode(&read_text(path, Encoding::Utf8)?).map_err(inside)?;
    let count = test_streams(numbers.len());
    let test = streams(&numbers, count, STEPS).map_err(inside)?;
    let notes = vec![Note::from(format!(
        "{} in {}, of which {} are told from those before them",
        counted(numbers.len(), "character"),
        counted(count, "stream"),
        grouped((test.len() * STEPS) as u64)
    ))];
    Ok(Asked::new(Data { notes, ..data(train, test, count, vocabulary, start, source) }))
}

/// What a model is trained with where the user says nothing.
fn defaults(model: &str) -> Defaults {
    let own = CHAR_LM.models.iter().find(|choice| choice.names.contains(&model)).and_then(|choice| choice.defaults);
    own.unwrap_or(CHAR_LM.defaults)
}

/// Streams of a text that is only measured.
const fn test_streams(characters: usize) -> usize {
    let streams = characters.saturating_sub(1) / STEPS;
    if streams == 0 {
        1
    } else if streams > TEST_STREAMS {
        TEST_STREAMS
    } else {
        streams
    }
}

fn data(
    train: Dataset,
    test: Dataset,
    test_streams: usize,
    vocabulary: CharVocabulary,
    start: Vec<i32>,
    source: &Source,
) -> Data {
    let letters = Letters::of(source.model, vocabulary.len(), STEPS);
    let writer = Writer {
        vocabulary,
        model: letters,
        start,
        prompt: source.writing.prompt.clone().unwrap_or_default(),
        length: source.writing.length.map_or(LONG, |length| length as usize),
        temperature: source.writing.temperature.unwrap_or(0.8),
        top_k: source.writing.top_k.map(|k| k as usize),
        seed: source.seed,
        programs: OnceCell::new(),
    };
    Data {
        train,
        test,
        validation: None,
        task: Task::Text { vocabulary: letters.vocabulary, streams: test_streams },
        // Characters are numbers that stay numbers.
        prepare: Some(Arc::new(|x: &Tensor, _: Mode| x.clone())),
        picture: None,
        drawn: None,
        notes: Vec::new(),
        epochs: None,
        network: Some(Network::of(letters)),
        show: Some(Rc::new(writer)),
        settings: ModelSettings::default(),
    }
}

/// What `load` has made.
fn network(data: &Data) -> Network {
    data.network.clone().unwrap_or_else(|| Network::of(Letters::of("", data.task.outputs(), STEPS)))
}

/// Writes texts, character by character, by a program of one step: a recurrent network's states stay on the device, and so do the keys and
/// values of a transformer.
struct Writer {
    vocabulary: CharVocabulary,
    model: Letters,
    prompt: String,
    /// What is read before the first character is written.
    start: Vec<i32>,
    length: usize,
    temperature: f64,
    top_k: Option<usize>,
    seed: u64,
    programs: OnceCell<Programs>,
}

/// What a writer runs.
struct Programs {
    /// For a character.
    step: Program,
    /// For as many characters as a transformer sees.
    read: Option<Program>,
}

impl Writer {
    fn programs(&self, session: &mut Session) -> Result<&Programs> {
        if let Some(programs) = self.programs.get() {
            return Ok(programs);
        }
        let vocabulary = self.model.vocabulary;
        let programs = match self.model.context() {
            Some(context) => {
                let mut load = |new: usize| -> Result<Program> {
                    let g = Graph::new();
                    let position = g.input(POSITION, [1], DType::I32);
                    let cache = KeyValueCache::new(&g, CACHE, 1, context, &position);
                    let logits = self.model.go_on(&g.input(CHARACTER, [1, new], DType::I32), &cache);
                    g.output(LOGITS, &logits.reshape([new, vocabulary]));
                    Ok(session.load(&g)?)
                };
                Programs { step: load(1)?, read: Some(load(context)?) }
            }
            None => {
                let g = Graph::new();
                let character = g.input(CHARACTER, [1, 1], DType::I32);
                let logits = self.model.write(&g, &character, Mode::Evaluation, WRITING);
                g.output(LOGITS, &logits.reshape([1, vocabulary]));
                Programs { step: session.load(&g)?, read: None }
            }
        };
        Ok(self.programs.get_or_init(|| programs))
    }

    fn text(&self, session: &mut Session, length: usize) -> Result<String> {
        let programs = self.programs(session)?;
        let steps = session.steps();
        let mut reader = Reader { session, programs, model: &self.model, seen: Vec::new() };
        let mut logits = reader.begin(&self.start)?;
        // The same after a resume as without an end in between.
        let mut random = HostRandom::new(self.seed).fold(DRAWS).fold(steps as u32);
        let mut written = Vec::with_capacity(length);
        while written.len() < length {
            let next = draw(&logits, self.temperature, self.top_k, &mut random);
            written.push(next);
            logits = reader.read(next)?;
        }
        Ok(format!("{}{}", self.prompt, self.vocabulary.decode(&written)?))
    }
}

/// Reads a text that goes on, and gives the logits of what follows.
struct Reader<'a> {
    session: &'a mut Session,
    programs: &'a Programs,
    model: &'a Letters,
    /// The characters that a transformer has in view.
    seen: Vec<i32>,
}

impl Reader<'_> {
    /// Forgets what was read, and reads a text.
    fn begin(&mut self, text: &[i32]) -> Result<Vec<f32>> {
        if let (Some(read), Some(context)) = (&self.programs.read, self.model.context()) {
            let from = if text.len() > context { text.len() - context / 2 } else { 0 };
            self.seen = text[from..].to_vec();
            // What is behind the last character is seen by none before, and is written over as others come.
            let mut characters = self.seen.clone();
            characters.resize(context, 0);
            return self.run(read, characters, 0, self.seen.len().saturating_sub(1));
        }
        let is_state = |name: &str| name.contains(WRITING);
        let states: Vec<(String, TensorType)> = self
            .session
            .variables()
            .iter()
            .filter(|variable| is_state(&variable.name))
            .map(|variable| (variable.name.clone(), variable.ty.clone()))
            .collect();
        for (name, ty) in states {
            self.session.set_parameter(&name, &TensorData::zeros(ty.dtype, ty.shape))?;
        }
        let mut logits = Vec::new();
        for &character in text {
            logits = self.run(&self.programs.step, vec![character], 0, 0)?;
        }
        Ok(logits)
    }

    /// Reads one character more.
    fn read(&mut self, character: i32) -> Result<Vec<f32>> {
        let Some(context) = self.model.context() else {
            return self.run(&self.programs.step, vec![character], 0, 0);
        };
        self.seen.push(character);
        if self.seen.len() > context {
            // Positions count from the beginning of what is in view: its later half is read anew.
            let later = self.seen.split_off(self.seen.len() - context / 2);
            return self.begin(&later);
        }
        self.run(&self.programs.step, vec![character], self.seen.len() - 1, 0)
    }

    /// The logits after one of the characters, of which the first is at a position.
    fn run(&mut self, program: &Program, characters: Vec<i32>, position: usize, row: usize) -> Result<Vec<f32>> {
        let count = characters.len();
        let characters = TensorData::from_vec(characters, [1, count])?;
        let position = TensorData::from_vec(vec![position as i32], [1])?;
        let mut inputs = vec![(CHARACTER, &characters)];
        if self.programs.read.is_some() {
            inputs.push((POSITION, &position));
        }
        let outputs = self.session.using(program).run(&inputs)?;
        let logits = outputs.get(LOGITS).map_or(Ok(&[][..]), TensorData::as_slice::<f32>)?;
        Ok(logits.chunks_exact(self.model.vocabulary).nth(row).map(<[f32]>::to_vec).unwrap_or_default())
    }
}

/// An index of the logits, drawn by their softmax at a temperature among the `top_k` likeliest.
fn draw(logits: &[f32], temperature: f64, top_k: Option<usize>, random: &mut HostRandom) -> i32 {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    let logit = |index: usize| logits.get(index).copied().unwrap_or(f32::NEG_INFINITY);
    // The first of equals comes first, so that the order is the same everywhere.
    order.sort_by(|&a, &b| logit(b).total_cmp(&logit(a)).then(a.cmp(&b)));
    order.truncate(top_k.unwrap_or(usize::MAX).max(1));
    let best = order.first().copied().unwrap_or_default();
    let uniform = random.uniform_f64();
    if temperature <= 0.0 {
        return best as i32;
    }
    let weight = |index: usize| (f64::from(logit(index) - logit(best)) / temperature).exp();
    let mut left = uniform * order.iter().map(|&index| weight(index)).sum::<f64>();
    for &index in &order {
        left -= weight(index);
        if left < 0.0 {
            return index as i32;
        }
    }
    best as i32
}

impl Show for Writer {
    fn after_epoch(&self, session: &mut Session) -> Result<Option<String>> {
        Ok(Some(self.text(session, self.length.min(SHORT))?))
    }

    fn write(&self, trainer: &mut Trainer) -> Result<Option<String>> {
        match trainer.session_mut() {
            Some(session) => Ok(Some(self.text(session, self.length)?)),
            None => Ok(None),
        }
    }

    fn samples(&self, _: &Data, trainer: &mut Trainer, _: &Evaluation) -> Result<Vec<String>> {
        match trainer.session_mut() {
            Some(session) => Ok(vec![self.text(session, self.length)?]),
            None => Ok(Vec::new()),
        }
    }

    fn print(&self, output: &mut crate::output::Output, _: &Data, evaluation: &Evaluation) -> Result<bool> {
        super::summary::scores(output, evaluation, &[])?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A transformer that reads character by character says what it says of a whole text; of a longer one, what it says of the later half of
    /// what it sees.
    #[test]
    fn reading_goes_on_where_it_was() -> Result {
        const CONTEXT: usize = 8;
        const VOCABULARY: usize = 11;
        let model = Letters { body: Letters::of("gpt", VOCABULARY, CONTEXT).body, vocabulary: VOCABULARY };
        let text: Vec<i32> = (0..30).map(|k| (k * k + 3 * k) % 11).collect();
        let whole = |session: &mut Session, text: &[i32]| -> Result<Vec<f32>> {
            let g = Graph::new();
            let x = g.input(CHARACTER, [1, text.len()], DType::I32);
            g.output(LOGITS, &model.write(&g, &x, Mode::Evaluation, "").at(1, text.len() - 1));
            let program = session.load(&g)?;
            let given = TensorData::from_vec(text.to_vec(), [1, text.len()])?;
            Ok(session.using(&program).run(&[(CHARACTER, &given)])?[LOGITS].to_vec::<f32>()?)
        };
        let g = Graph::new();
        model.write(&g, &g.input(CHARACTER, [1, CONTEXT], DType::I32), Mode::Evaluation, "");
        let mut session = g.compile(&wgrad::Device::cpu())?;
        let writer = Writer {
            vocabulary: CharVocabulary::of("abcdefghijk"),
            model,
            prompt: String::new(),
            start: vec![0],
            length: 1,
            temperature: 1.0,
            top_k: None,
            seed: 0,
            programs: OnceCell::new(),
        };
        let (mut from, mut found) = (0, Vec::new());
        for end in 3..text.len() {
            let programs = writer.programs(&mut session)?;
            if end == 3 {
                found.push(
                    Reader { session: &mut session, programs, model: &model, seen: Vec::new() }.begin(&text[..3])?,
                );
            } else {
                // Each time with what was in view before.
                let seen = text[from..end - 1].to_vec();
                let mut reader = Reader { session: &mut session, programs, model: &model, seen };
                found.push(reader.read(text[end - 1])?);
                from = end - reader.seen.len();
            }
            let right = whole(&mut session, &text[from..end])?;
            let worst = found[end - 3].iter().zip(&right).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-5 && right.len() == VOCABULARY, "{from}..{end}: {worst}");
        }
        assert!(from > 15);
        let long: Vec<f32> = {
            let programs = writer.programs(&mut session)?;
            Reader { session: &mut session, programs, model: &model, seen: Vec::new() }.begin(&text)?
        };
        let right = whole(&mut session, &text[text.len() - CONTEXT / 2..])?;
        assert!(long.iter().zip(&right).all(|(a, b)| (a - b).abs() < 1e-5));
        Ok(())
    }

    #[test]
    fn draws_follow_the_softmax() {
        let logits = [0.0_f32, 1.0, 2.0, -50.0];
        let mut random = HostRandom::new(1);
        assert!((0..100).all(|_| draw(&logits, 0.0, None, &mut random) == 2));
        assert!((0..100).all(|_| draw(&logits, 5.0, Some(1), &mut random) == 2));
        let mut counts = [0_u32; 4];
        (0..20_000).for_each(|_| counts[draw(&logits, 1.0, None, &mut random) as usize] += 1);
        let expected = [0.0900, 0.2447, 0.6652, 0.0].map(|share: f64| share * 20_000.0);
        for (count, expected) in counts.iter().zip(expected) {
            assert!((f64::from(*count) - expected).abs() < 250.0, "{counts:?}");
        }
        (0..200).for_each(|_| assert_ne!(draw(&logits, 1.0, Some(2), &mut random), 0));
        assert_eq!(draw(&[], 1.0, None, &mut random), 0);
    }
}
