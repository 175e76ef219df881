//! `wgrad predict MODEL`: what a model that `train DEMO --save` wrote says of new data, and how right it is where the answers are known.

mod answers;
mod table;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use wgrad::graph::Graph;
use wgrad::nn::{Mode, Model};
use wgrad::tensor::TensorData;
use wgrad::train::{Evaluation, ModelFile, Trainer};

use crate::Everywhere;
use crate::device::{self, Chosen};
use crate::failure::{Failure, Result};
use crate::files::Files;
use crate::output::{Output, counted, grouped};
use crate::train::demo::{Asked, Data, Demo, Source, Task};
use crate::train::network::Network;
use crate::train::options::{Searching, Translating, Writing};
use crate::train::{demos, note, optimizer, saved, scores, summary, trainer, watch, word2vec};
use answers::Answers;

/// Predictions that people see; the rest goes to a file.
const SHOWN: usize = 20;

/// What `predict` takes.
#[derive(Args, Debug)]
pub struct Arguments {
    /// A model that `train DEMO --save` wrote
    #[arg(value_name = "MODEL.safetensors")]
    model: PathBuf,
    /// What it is asked: a file or directory as the demo learned from, with the answers or without them
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Write the predictions as a table, too
    #[arg(long, value_name = "FILE.csv")]
    out: Option<PathBuf>,
    /// Leave damaged pictures out, and say how many there are; otherwise the first one ends the run
    #[arg(long)]
    skip_damaged: bool,
    #[command(flatten)]
    writing: Writing,
    #[command(flatten)]
    searching: Searching,
}

/// A saved model, ready to answer.
struct Ready {
    demo: &'static Demo,
    model_name: &'static str,
    asked: Asked,
    parameters: usize,
    trainer: Trainer,
}

/// Predicts.
pub fn run(arguments: &Arguments, everywhere: &Everywhere, output: &mut Output) -> Result {
    Files::new()
        .reads("the model", Some(&arguments.model))
        .reads("--data", arguments.data.as_deref())
        .writes("--out", arguments.out.as_deref())
        .check()?;
    let file = ModelFile::read(&arguments.model)?;
    let demo = demo(&file)?;
    arguments.writing.check(demo)?;
    arguments.searching.check(demo)?;
    demo.check_skip_damaged(arguments.skip_damaged)?;
    let source = Source {
        path: arguments.data.clone(),
        skip_damaged: arguments.skip_damaged,
        seed: everywhere.seed,
        writing: arguments.writing.clone(),
        translating: Translating { searching: arguments.searching, ..Translating::default() },
        ..Source::default()
    };
    let (mut ready, chosen) = ready(&file, demo, source, &everywhere.device)?;
    ready.announce(&chosen, output)?;
    match ready.asked.data.task {
        Task::Text { .. } => ready.text(arguments, output),
        Task::Words { .. } if arguments.out.is_some() => {
            Err(Failure::new("--out is for tables of predictions, and vectors of words give lists; --json has them"))
        }
        Task::Words { .. } => word2vec::answer(&ready.asked, &mut ready.trainer, arguments.data.as_deref(), output),
        Task::Translation { .. } => ready.translate(arguments, output),
        Task::Binary | Task::Classes(_) | Task::Series { .. } | Task::Number { .. } => ready.answer(arguments, output),
    }
}

/// The demo that a file is a model of.
fn demo(file: &ModelFile) -> Result<&'static Demo> {
    demos::find(file.kind()).map_err(|_| {
        file.wrong(format!(
            "it is a model of {:?}, which is no demo; the program that saved it can use it",
            file.kind()
        ))
        .into()
    })
}

/// Everything that can be wrong with a file is found before a device takes memory for it.
fn ready(file: &ModelFile, demo: &'static Demo, source: Source, device: &str) -> Result<(Ready, Chosen)> {
    let model = demo.model(Some(file.text("model")?)).map_err(|error| match error {
        Failure::Message(message) => file.wrong(message).into(),
        other => other,
    })?;
    let precision = saved::precision(file)?;
    let mut asked = (demo.ask)(file, &Source { model: model.name(), ..source })?;
    let network = model.fit_to(&mut asked.data);
    network.check()?;
    let parameters = check(file, &network, &asked.data)?;
    let chosen = device::open(device)?;
    // Nothing is trained: any optimizer does.
    let mut trainer =
        trainer(&network, &asked.data, &chosen.device, optimizer::make("sgd", 1.0)?)?.precision(precision);
    trainer.load_model(file)?;
    Ok((Ready { demo, model_name: model.name(), asked, parameters, trainer }, chosen))
}

/// The parameters of the file are those of the network; their number.
fn check(file: &ModelFile, network: &Network, data: &Data) -> Result<usize> {
    let g = Graph::new();
    let ty = data.train.column("x")?.ty();
    let x = g.input("x", ty.shape.clone(), ty.dtype);
    let prepared = data.prepare.as_ref().map_or_else(|| x.clone(), |prepare| prepare(&x, Mode::Evaluation));
    network.forward(&g, &prepared, Mode::Evaluation);
    file.check(&g)?;
    Ok(g.parameters().iter().map(|(_, parameter)| parameter.shape().len()).sum())
}

/// An error where a score is no number, with the first example that the model has none for.
fn finite(evaluation: &Evaluation) -> Result {
    if evaluation.loss.is_finite() {
        return Ok(());
    }
    let values = evaluation.predictions.to_f64_vec();
    let outputs = (values.len() / evaluation.predictions.shape().first().copied().unwrap_or(1).max(1)).max(1);
    Err(Failure::new(match values.iter().position(|value| !value.is_finite()) {
        Some(first) => format!("the model's answer to example {} is not a finite number", first / outputs),
        None => "the answers are so far from the truth that f32 cannot hold the loss".to_owned(),
    }))
}

impl Ready {
    fn announce(&self, chosen: &Chosen, output: &mut Output) -> Result {
        let data = &self.asked.data;
        let classes: Vec<String> = (0..data.task.classes()).map(|class| saved::class_name(&data.test, class)).collect();
        let classes = if matches!(data.task, Task::Text { .. }) { Vec::new() } else { classes };
        let mut start = json!({
            "event": "start", "demo": self.demo.name, "model": self.model_name, "device": chosen.device.name(),
            "backend": chosen.device.backend(), "parameters": self.parameters, "classes": classes,
        });
        note::count(&data.notes, &mut start);
        output.event(&start)?;
        output.text(format!("device   {}", chosen.describe()))?;
        output.text(format!(
            "model    {} {}, {}",
            self.demo.name,
            self.model_name,
            counted(self.parameters, "parameter")
        ))?;
        note::tell(&data.notes, output)
    }

    /// An answer to each example.
    fn answer(&mut self, arguments: &Arguments, output: &mut Output) -> Result {
        let data = &self.asked.data;
        let evaluation = match data.test.column("y") {
            Ok(_) => {
                let mut evaluation = self.trainer.evaluate(&data.test)?;
                finite(&evaluation)?;
                data.task.in_unit(&mut evaluation.metrics);
                Some(evaluation)
            }
            Err(_) => None,
        };
        let predictions: TensorData = match (&self.asked.question, &evaluation) {
            (Some(question), _) => self.trainer.predict(question)?,
            (None, Some(evaluation)) => evaluation.predictions.clone(),
            (None, None) => self.trainer.predict(data.test.column("x")?)?,
        };
        let answers = Answers::of(&predictions, &self.asked)?;
        let names = self.asked.names.as_ref();
        if output.is_json() {
            for index in 0..answers.len() {
                let mut event = answers.event(index);
                if let Some((names, name)) = names.and_then(|names| Some((names, names.names.get(index)?))) {
                    event.insert(names.of.to_owned(), json!(name));
                }
                output.event(&Value::Object(event))?;
            }
        }
        let (columns, rows) = answers.rows(names, SHOWN);
        output.text("")?;
        output.table(&columns.iter().map(String::as_str).collect::<Vec<_>>(), &rows)?;
        if answers.len() > SHOWN {
            output.text(format!(
                "… {} more{}",
                grouped((answers.len() - SHOWN) as u64),
                if arguments.out.is_some() { "" } else { "; --out FILE.csv writes them all" }
            ))?;
        }
        if let Some(path) = &arguments.out {
            table::write(path, &answers, names)?;
        }
        let test = evaluation.as_ref().map(|evaluation| Value::Object(scores(evaluation)));
        let mut done = json!({"event": "done", "predictions": answers.len()});
        if let (Some(test), Some(done)) = (test, done.as_object_mut()) {
            done.insert("test".to_owned(), test);
            done.insert("scored".to_owned(), json!(data.test.len()));
        }
        output.event(&done)?;
        output.text("")?;
        if let Some(evaluation) = &evaluation {
            if data.task.classes() > 0 {
                summary::print(output, data, evaluation)?;
            } else {
                summary::scores(output, evaluation, &[])?;
            }
        }
        match &arguments.out {
            Some(path) => output.text(format!("predictions in {}", path.display())),
            None => Ok(()),
        }
    }

    /// A translation of each sentence, and scores where there are others to compare with.
    fn translate(&mut self, arguments: &Arguments, output: &mut Output) -> Result {
        let data = &self.asked.data;
        let evaluation = match data.test.column("y") {
            Ok(_) => Some(self.trainer.evaluate(&data.test)?),
            Err(_) => None,
        };
        if let Some(evaluation) = &evaluation {
            finite(evaluation)?;
        } else {
            // What translates is a program beside another, and the parameters come with the first.
            self.trainer.predict(data.train.column("x")?)?;
        }
        let Some(show) = &data.show else { return Ok(()) };
        let found = show.translate(&mut self.trainer)?;
        output.text("")?;
        for (index, found) in found.iter().enumerate() {
            output.event(&json!({
                "event": "prediction", "index": index, "text": found.text, "translation": found.translation,
            }))?;
            if arguments.out.is_none() || index < SHOWN {
                output.text(format!("{}\n    {}", found.text, found.translation))?;
            }
        }
        if let Some(path) = &arguments.out {
            table::write_translations(path, &found)?;
        }
        let mut done = json!({"event": "done", "predictions": found.len()});
        if let (Some(evaluation), Some(done)) = (&evaluation, done.as_object_mut()) {
            let mut test = scores(evaluation);
            test.extend(show.scores(data, evaluation)?.into_iter().map(|(name, value)| (name, json!(value))));
            done.insert("test".to_owned(), Value::Object(test));
            done.insert("scored".to_owned(), json!(found.len()));
        }
        output.event(&done)?;
        output.text("")?;
        if let Some(evaluation) = &evaluation {
            show.print(output, data, evaluation)?;
        }
        match &arguments.out {
            Some(path) => output.text(format!("translations in {}", path.display())),
            None => Ok(()),
        }
    }

    /// A text is measured where there is one, and one is written where that is asked for, or nothing is.
    fn text(&mut self, arguments: &Arguments, output: &mut Output) -> Result {
        if arguments.out.is_some() {
            return Err(Failure::new("--out is for tables of predictions, and a model of texts gives none"));
        }
        let mut test = None;
        if arguments.data.is_some() {
            let evaluation = self.trainer.evaluate(&self.asked.data.test)?;
            output.text("")?;
            summary::scores(output, &evaluation, &[])?;
            test = Some(Value::Object(scores(&evaluation)));
        }
        if arguments.data.is_none() || arguments.writing.is_asked_for() {
            // What writes is a program beside another, and the parameters come with the first.
            if self.trainer.session().is_none() {
                self.trainer.predict(self.asked.data.train.column("x")?)?;
            }
            let written = match &self.asked.data.show {
                Some(show) => show.write(&mut self.trainer)?,
                None => None,
            };
            if let Some(text) = written {
                output.event(&json!({"event": "sample", "text": text}))?;
                output.text("")?;
                output.text(watch::indented(&text))?;
            }
        }
        let mut done = json!({"event": "done"});
        if let (Some(test), Some(done)) = (test, done.as_object_mut()) {
            done.insert("test".to_owned(), test);
        }
        output.event(&done)
    }
}
