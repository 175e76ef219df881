//! `--explain`, `--filters`, `--mistakes`: sheets of pictures that show what a trained model looks at, has learned, and
//! gets wrong.

mod colour;
mod examples;
mod explain;
mod filters;
mod mistakes;
mod sheet;

use std::path::PathBuf;

use clap::Args;
use wgrad::tensor::TensorData;
use wgrad::train::Trainer;

use super::canvas;
use super::demo::{Data, Demo};
use crate::failure::{Failure, Result};
use examples::Examples;

/// What is to be drawn.
#[derive(Args, Clone, Debug)]
pub struct Pictures {
    /// Draw where test pictures count: how fast the winning score changes with each pixel, over the picture
    #[arg(long, value_name = "FILE.png")]
    explain: Option<PathBuf>,
    /// Draw the filters of the first layer
    #[arg(long, value_name = "FILE.png")]
    filters: Option<PathBuf>,
    /// Draw the test pictures that the model gets wrong, with the surest mistakes first
    #[arg(long, value_name = "FILE.png")]
    mistakes: Option<PathBuf>,
}

impl Pictures {
    /// What is drawn, and to which file.
    pub const fn files(&self) -> [(&'static str, &Option<PathBuf>); 3] {
        [("explanation", &self.explain), ("filters", &self.filters), ("mistakes", &self.mistakes)]
    }

    /// The options and their paths.
    pub const fn options(&self) -> [(&'static str, &Option<PathBuf>); 3] {
        [("--explain", &self.explain), ("--filters", &self.filters), ("--mistakes", &self.mistakes)]
    }

    /// Finds before a run what would keep it from being drawn.
    pub fn check(&self, demo: &Demo) -> Result {
        for (option, path) in self.options() {
            let Some(path) = path else { continue };
            if !demo.pictures {
                return Err(Failure::new(format!("{option} shows pictures, and {} has none", demo.name)));
            }
            canvas::check_name(path, "pictures", &["png"])?;
        }
        Ok(())
    }

    /// Draws what was asked for.
    pub fn draw(&self, title: &str, data: &Data, trainer: &mut Trainer, predictions: &TensorData) -> Result {
        let Some(picture) = &data.picture else { return Ok(()) };
        if let Some(path) = &self.filters {
            filters::draw(path, title, picture, trainer)?;
        }
        if self.explain.is_none() && self.mistakes.is_none() {
            return Ok(());
        }
        let examples = Examples::new(data, picture, predictions)?;
        if let Some(path) = &self.mistakes {
            mistakes::draw(path, title, &examples)?;
        }
        match &self.explain {
            Some(path) => explain::draw(path, title, &examples, trainer),
            None => Ok(()),
        }
    }
}
