//! What demos take that read a table.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use wgrad::data::{Csv, Goal, Header, Missing, PreparationOptions};

use super::Own;
use crate::failure::{Failure, Result};
use crate::train::canvas;
use crate::train::demo::Demo;

/// How a table is read and what is learned from it.
#[derive(Args, Clone, Debug, Default)]
pub struct Tables {
    /// Of a table: what becomes of values that are missing (empty, ?, NA, …) [default: refuse]
    #[arg(long, value_name = "HOW", value_parser = PossibleValuesParser::new(Missing::ALL.map(Missing::name)))]
    pub missing: Option<String>,
    /// Whether the target is one of classes or a number; else its values say
    #[arg(long, value_parser = PossibleValuesParser::new(["classification", "regression"]))]
    pub task: Option<String>,
    /// Columns of a table to leave out, by name or number
    #[arg(long, value_name = "COLUMN,…", allow_negative_numbers = true)]
    pub drop: Option<String>,
    /// Columns of a table that are categories though they look like numbers
    #[arg(long, value_name = "COLUMN,…", allow_negative_numbers = true)]
    pub categorical: Option<String>,
    /// Whether the first line of a table names its columns; else it is recognised
    #[arg(long, value_parser = PossibleValuesParser::new(["present", "absent"]))]
    pub header: Option<String>,
    /// Another table to test with, instead of a fifth of the rows
    #[arg(long, value_name = "FILE.csv")]
    pub test_data: Option<PathBuf>,
    /// Draw the truth against the guess, where a number is learned
    #[arg(long, value_name = "FILE.png")]
    pub scatter: Option<PathBuf>,
}

/// The columns of a list with commas.
fn list(columns: Option<&String>) -> Vec<String> {
    columns.map(|columns| columns.split(',').map(|column| column.trim().to_owned()).collect()).unwrap_or_default()
}

impl Tables {
    /// Finds before a run what would keep it from being drawn, or has no meaning.
    pub fn check(&self, demo: &Demo) -> Result {
        let given = [
            ("missing", self.missing.is_some()),
            ("task", self.task.is_some()),
            ("drop", self.drop.is_some()),
            ("categorical", self.categorical.is_some()),
            ("header", self.header.is_some()),
            ("test-data", self.test_data.is_some()),
            ("scatter", self.scatter.is_some()),
        ];
        if let Some((option, _)) = given.iter().find(|(_, given)| *given && demo.own != Own::Tables) {
            return Err(Failure::new(format!("--{option} is for tables, and {} has none", demo.name)));
        }
        match &self.scatter {
            Some(path) => canvas::check_name(path, "pictures", &["png"]),
            None => Ok(()),
        }
    }

    /// How a file is read.
    pub fn csv(&self) -> Csv {
        let header = match self.header.as_deref() {
            Some("present") => Header::Present,
            Some("absent") => Header::Absent,
            _ => Header::Detect,
        };
        Csv::new().keep_missing().header(header).categorical(list(self.categorical.as_ref()))
    }

    /// What is learned from it.
    pub fn preparing(&self, target: &str) -> PreparationOptions {
        let goal = match self.task.as_deref() {
            Some("classification") => Goal::Classification,
            Some("regression") => Goal::Regression,
            _ => Goal::Detect,
        };
        let missing = Missing::ALL.into_iter().find(|choice| Some(choice.name()) == self.missing.as_deref());
        PreparationOptions::new(target)
            .goal(goal)
            .missing(missing.unwrap_or_default())
            .leave_out(list(self.drop.as_ref()))
    }
}
