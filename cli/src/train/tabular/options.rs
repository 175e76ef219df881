//! What `train tabular` takes beside the options of all demos.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use wgrad::data::{Csv, Goal, Header, Missing, PreparationOptions};

use super::super::demo::Demo;
use super::super::{canvas, places};
use super::TABULAR;
use crate::failure::{Failure, Result};

/// How a table is read and what is learned from it.
#[derive(Args, Clone, Debug, Default)]
pub struct Tables {
    /// Of a table: what becomes of values that are missing (empty, ?, NA, …) [default: refuse]
    #[arg(long, value_name = "HOW", value_parser = PossibleValuesParser::new(Missing::ALL.map(Missing::name)))]
    missing: Option<String>,
    /// Whether the target is one of classes or a number; else its values say
    #[arg(long, value_enum)]
    task: Option<TaskChoice>,
    /// Columns of a table to leave out, by name or number
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',', allow_negative_numbers = true)]
    drop: Vec<String>,
    /// Columns of a table that are categories though they look like numbers
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',', allow_negative_numbers = true)]
    categorical: Vec<String>,
    /// Whether the first line of a table names its columns; else it is recognised
    #[arg(long, value_enum)]
    header: Option<HeaderChoice>,
    /// Another table to test with, instead of a fifth of the rows
    #[arg(long, value_name = "FILE.csv")]
    pub test_data: Option<PathBuf>,
    /// Draw the truth against the guess, where a number is learned
    #[arg(long, value_name = "FILE.png")]
    pub scatter: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TaskChoice {
    Classification,
    Regression,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum HeaderChoice {
    Present,
    Absent,
}

impl Tables {
    /// Finds before a run what would keep it from being drawn, or has no meaning.
    pub fn check(&self, demo: &Demo) -> Result {
        let given = [
            ("missing", self.missing.is_some()),
            ("task", self.task.is_some()),
            ("drop", !self.drop.is_empty()),
            ("categorical", !self.categorical.is_empty()),
            ("header", self.header.is_some()),
            ("test-data", self.test_data.is_some()),
            ("scatter", self.scatter.is_some()),
        ];
        if let Some((option, _)) = given.iter().find(|(_, given)| *given && demo.name != TABULAR.name) {
            return Err(Failure::new(format!("--{option} is for tables, and {} has none", demo.name)));
        }
        match &self.scatter {
            Some(path) => {
                canvas::check_name(path, "pictures", &["png"])?;
                places::can_write_file(path)
            }
            None => Ok(()),
        }
    }

    /// How a file is read.
    pub fn csv(&self) -> Csv {
        let header = match self.header {
            None => Header::Detect,
            Some(HeaderChoice::Present) => Header::Present,
            Some(HeaderChoice::Absent) => Header::Absent,
        };
        Csv::new().keep_missing().header(header).categorical(self.categorical.iter().cloned())
    }

    /// What is learned from it.
    pub fn preparing(&self, target: &str) -> PreparationOptions {
        let goal = match self.task {
            None => Goal::Detect,
            Some(TaskChoice::Classification) => Goal::Classification,
            Some(TaskChoice::Regression) => Goal::Regression,
        };
        let missing = Missing::ALL.into_iter().find(|choice| Some(choice.name()) == self.missing.as_deref());
        PreparationOptions::new(target)
            .goal(goal)
            .missing(missing.unwrap_or_default())
            .leave_out(self.drop.iter().cloned())
    }
}
