//! Follows a run: a moving bar, a line an epoch, or events; and keeps the losses for the plot.

use std::rc::Rc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, json};
use wgrad::session::Session;
use wgrad::train::{Callback, Control, EpochRecord, Event};

use super::Curve;
use super::demo::Task;
use super::show::Show;
use crate::failure::Result;
use crate::output::{Output, grouped, seconds};

/// The bar's text changes at most this often, so that it costs nothing.
const REFRESH: Duration = Duration::from_millis(80);

/// How much of the running loss is the newest one.
const NEWEST: f64 = 0.05;

/// A callback that reports.
pub struct Watch<'a> {
    output: &'a mut Output,
    log_every: Option<u64>,
    curve: Curve,
    bar: Option<ProgressBar>,
    /// Mean of the latest losses.
    running: Option<f64>,
    /// What the last validation said.
    validation: String,
    examples: u64,
    trained: u64,
    begun: Instant,
    refreshed: Instant,
    told: Result,
    show: Option<Rc<dyn Show>>,
    /// The epoch that has ended, until there are all of its scores.
    ended: Option<EpochRecord>,
    /// What is learned, and so the unit of metrics.
    task: Option<Task>,
}

impl<'a> Watch<'a> {
    /// Reports steps only with `log_every`.
    pub fn new(output: &'a mut Output, log_every: Option<u64>, steps_per_epoch: u64) -> Self {
        let now = Instant::now();
        Self {
            output,
            log_every,
            curve: Curve { steps_per_epoch, ..Curve::default() },
            bar: None,
            running: None,
            validation: String::new(),
            examples: 0,
            trained: 0,
            begun: now,
            refreshed: now,
            told: Ok(()),
            show: None,
            ended: None,
            task: None,
        }
    }

    /// The same, with metrics in the unit of what is learned.
    pub fn of_task(self, task: Task) -> Self {
        Self { task: Some(task), ..self }
    }

    /// The same, with samples after each epoch.
    pub fn showing(self, show: Option<Rc<dyn Show>>) -> Self {
        Self { show, ..self }
    }

    /// The losses, the number of steps seen, and whether they could be printed.
    pub fn finish(self) -> (Curve, u64, Result) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        (self.curve, self.trained, self.told)
    }

    fn start(&mut self, step: u64, total: Option<u64>) -> Result {
        self.begun = Instant::now();
        if step > 0 {
            self.output.text(format!("going on after step {}", grouped(step)))?;
        }
        if self.output.is_lively() {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
            let template = match total {
                Some(_) => "{bar:30.cyan/black} {percent:>3}%  {msg}  {eta} left",
                None => "{spinner}  {pos} steps  {msg}",
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar.set_position(step);
            bar.reset_eta();
            self.bar = Some(bar);
        }
        Ok(())
    }

    fn step(&mut self, step: u64, loss: f64, learning_rate: f64, examples: usize) -> Result {
        self.curve.losses.push((step, loss));
        self.trained += 1;
        self.examples += examples as u64;
        let running = self.running.map_or(loss, |before| before + (loss - before) * NEWEST);
        self.running = Some(running);
        if self.log_every.is_some_and(|every| step.is_multiple_of(every)) {
            self.output.event(&json!({"event": "step", "step": step, "loss": loss, "learning_rate": learning_rate}))?;
            self.line(&format!("step {:>7}  loss {loss:<9.5}  learning rate {learning_rate:.3e}", grouped(step)))?;
        }
        if let Some(bar) = self.bar.as_ref().filter(|_| self.refreshed.elapsed() > REFRESH) {
            let speed = self.examples as f64 / self.begun.elapsed().as_secs_f64().max(1e-9);
            let epoch = self.curve.epoch_of(step);
            bar.set_message(format!(
                "epoch {epoch:.1}  loss {running:.4}{}  {} examples/s",
                self.validation,
                grouped(speed as u64)
            ));
            bar.set_position(step);
            self.refreshed = Instant::now();
        }
        Ok(())
    }

    fn epoch(&mut self, record: &EpochRecord) -> Result {
        let mut record = record.clone();
        if let Some(task) = self.task {
            task.in_unit(&mut record.validation);
        }
        let validation: Map<String, serde_json::Value> =
            record.validation.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        self.output.event(&json!({
            "event": "epoch", "epoch": record.epoch, "step": record.step, "train_loss": record.train_loss,
            "validation": validation, "seconds": record.seconds, "examples_per_second": record.examples_per_second,
        }))?;
        let shown = ["loss", "accuracy", "perplexity", "bleu", "mse", "mae", "r2"]
            .iter()
            .filter_map(|name| Some((name, record.validation(name)?)));
        let shown: Vec<String> = shown.map(|(name, value)| format!("{name} {value:.4}")).collect();
        self.validation =
            record.validation("accuracy").map_or_else(String::new, |value| format!("  accuracy {value:.4}"));
        self.line(&format!(
            "epoch {:>3}  step {:>7}  train loss {:.4}  test {}  {}  {} examples/s",
            record.epoch,
            grouped(record.step),
            record.train_loss,
            shown.join("  "),
            seconds(record.seconds),
            grouped(record.examples_per_second as u64)
        ))
    }

    /// Tells an epoch with all of its scores, and shows what was learned up to its end.
    fn sample(&mut self, session: &mut Session) -> Result {
        if let Some(mut record) = self.ended.take() {
            let more = self.show.as_ref().map_or_else(|| Ok(Vec::new()), |show| show.validate(session))?;
            record.validation.extend(more);
            self.epoch(&record)?;
        }
        let Some(text) = self.show.as_ref().map_or(Ok(None), |show| show.after_epoch(session))? else { return Ok(()) };
        self.output.event(&json!({"event": "sample", "text": text}))?;
        self.line(&indented(&text))
    }

    /// A line above the bar.
    fn line(&mut self, text: &str) -> Result {
        match &self.bar {
            Some(bar) => {
                let output = &mut *self.output;
                bar.suspend(|| output.text(text))
            }
            None => self.output.text(text),
        }
    }
}

impl Callback for Watch<'_> {
    fn on_event(&mut self, event: &Event) -> wgrad::Result<Control> {
        let told = match event {
            Event::Start { step, total_steps } => self.start(*step, *total_steps),
            Event::Step { step, loss, learning_rate, examples } => self.step(*step, *loss, *learning_rate, *examples),
            Event::Epoch(record) => {
                self.ended = Some(record.clone());
                Ok(())
            }
            _ => Ok(()),
        };
        // A run whose reader has gone ends as if it had been asked to.
        let control = if told.is_ok() && self.told.is_ok() { Control::Continue } else { Control::Stop };
        if told.is_err() {
            self.told = told;
        }
        Ok(control)
    }

    fn after_epoch(&mut self, session: &mut Session, _: &EpochRecord) -> wgrad::Result<()> {
        if self.told.is_ok() {
            self.told = self.sample(session);
        }
        Ok(())
    }
}

/// A sample as a block of its own among lines of numbers.
pub fn indented(text: &str) -> String {
    let lines: Vec<String> =
        text.trim_matches('\n').lines().map(|line| format!("    {line}").trim_end().to_owned()).collect();
    lines.join("\n")
}
