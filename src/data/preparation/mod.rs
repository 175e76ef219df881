//! From a table to what a network takes, learned from the training rows alone and saved with the model: which columns are
//! used, how their numbers are written, means and deviations in f64, lists of categories, what is filled in for missing values,
//! and what the target means.
//!
//! [`PreparationOptions`] says what is to be learned and how, [`Preparation`] is what was found. It takes any other table of the
//! same kind in the same way, and survives JSON unchanged.

mod fit;
mod saved;
mod transform;

use std::fs;
use std::path::Path;

pub use fit::{Goal, Parts, PreparationOptions};

use super::column::ASKED;
use super::csv::{Csv, Expected, Kind};
use super::format::Format;
use super::missing::Missing;
use super::table::{Table, Target};
use crate::error::{Error, Result, counted};

/// How a table becomes features and targets; made by [`PreparationOptions`].
///
/// ```
/// use wgrad::data::{Csv, Missing, Preparation, PreparationOptions};
/// let table = Csv::new().keep_missing().from_bytes(b"size,colour,price\n1,red,10\n?,blue,20\n3,red,30\n5,red,45\n", "t")?;
/// let options = PreparationOptions::new("price").missing(Missing::Mean);
/// let preparation = options.fit(&table, &[0, 1, 2])?; // statistics of the first three rows
/// let data = preparation.dataset(&table)?;
/// assert_eq!(data.column("x")?.shape().dims(), [4, 3]); // the size, blue, red
/// assert_eq!(preparation.restored(0.0), 20.0); // the mean price
/// let again = Preparation::from_json(&preparation.to_json())?;
/// assert_eq!(again, preparation);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Preparation {
    /// All columns of the file, in their order.
    columns: Vec<PreparedColumn>,
    /// Which of them is the target.
    target: usize,
    missing: Missing,
    /// Whether the file had a header.
    named: bool,
}

/// What became of a column.
#[derive(Clone, Debug, PartialEq)]
struct PreparedColumn {
    name: String,
    role: Role,
    /// How many rows of the table lacked it.
    lacking: usize,
    /// What people should know of it.
    remark: Option<String>,
}

/// What became of a column, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedColumn<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is to the model.
    pub taken_as: TakenAs,
    /// The same with particulars: how its numbers are written, how many labels it has, why it is left out.
    pub note: String,
}

/// What a column is to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TakenAs {
    /// A feature: a number.
    Number,
    /// A feature: a date, as the number of its seconds.
    Date,
    /// Features of 0 or 1, one a label.
    Categories,
    /// Nothing, as the user wants it.
    Dropped,
    /// Nothing, since it is of no use.
    LeftOut,
    /// The target: one of several classes.
    TargetClasses,
    /// The target: a number.
    TargetNumber,
}

impl TakenAs {
    /// Its name: `left_out`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Date => "date",
            Self::Categories => "categories",
            Self::Dropped => "dropped",
            Self::LeftOut => "left_out",
            Self::TargetClasses => "target_classes",
            Self::TargetNumber => "target_number",
        }
    }
}

/// What a column is good for.
#[derive(Clone, Debug, PartialEq)]
enum Role {
    /// One feature: a number, standardized; and one more that says that it is missing, if `flag`.
    Number {
        format: Format,
        mean: f64,
        std: f64,
        /// What stands for a missing value; None where that is an error.
        fill: Option<f64>,
        flag: bool,
    },
    /// A feature of 0 or 1 for each label; and one more for what is missing, if `own`.
    Categories {
        labels: Vec<String>,
        fill: Option<String>,
        own: bool,
    },
    Unused {
        reason: String,
    },
    /// The target.
    Classes {
        labels: Vec<String>,
        /// Where the labels are numbers, how they are written.
        format: Option<Format>,
    },
    /// The target, as a number to be predicted.
    Value {
        format: Format,
        mean: f64,
        std: f64,
    },
}

impl Preparation {
    /// What the target means.
    pub fn target(&self) -> Target {
        match self.columns.get(self.target).map(|column| &column.role) {
            Some(Role::Classes { labels, .. }) if labels.len() == 2 => Target::Binary,
            Some(Role::Classes { .. }) => Target::Classes,
            _ => Target::Number,
        }
    }

    /// The name of the target's column.
    pub fn target_name(&self) -> &str {
        self.columns.get(self.target).map_or("", |column| &column.name)
    }

    /// The names of the classes, in the order of their labels; empty where the target is a number.
    pub fn class_names(&self) -> &[String] {
        match self.columns.get(self.target).map(|column| &column.role) {
            Some(Role::Classes { labels, .. }) => labels,
            _ => &[],
        }
    }

    /// Mean and standard deviation of a target that is a number, in the training part; 0 and 1 for classes. `y` is standardized by them, so
    /// errors of `y` times the deviation are errors in the target's own unit.
    pub fn target_scale(&self) -> (f64, f64) {
        match self.columns.get(self.target).map(|column| &column.role) {
            Some(Role::Value { mean, std, .. }) => (*mean, *std),
            _ => (0.0, 1.0),
        }
    }

    /// A prediction of a number in the target's own unit.
    pub fn restored(&self, standardized: f64) -> f64 {
        let (mean, std) = self.target_scale();
        standardized * std + mean
    }

    /// Number of features of an example.
    pub fn features(&self) -> usize {
        self.columns.iter().map(|column| column.role.features()).sum()
    }

    /// What was chosen for missing values.
    pub const fn missing(&self) -> Missing {
        self.missing
    }

    /// What became of each column, in the order of the file.
    pub fn describe<'a>(&'a self) -> Vec<DescribedColumn<'a>> {
        let described = |column: &'a PreparedColumn| DescribedColumn {
            name: &column.name,
            taken_as: column.role.taken_as(),
            note: column.describe(),
        };
        self.columns.iter().map(described).collect()
    }

    /// Reads a CSV file that has the columns of the table that was fitted, in any order where a header names them, with or without the
    /// target: numbers are read in the format that they had there. Missing values stay in the table.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read; [`Error::Format`] where a column is missing, where a cell is not what the column
    /// held before, and as for [`Csv::read`].
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Table> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| Error::file("cannot read", path, source))?;
        self.table_from_bytes(&bytes, path)
    }

    /// As [`read`](Self::read), from bytes in memory; `origin` is the name under which errors speak of them.
    ///
    /// # Errors
    /// [`Error::Format`], as for [`read`](Self::read).
    pub fn table_from_bytes(&self, bytes: &[u8], origin: impl AsRef<Path>) -> Result<Table> {
        let columns = self.columns.iter().map(|column| (column.name.as_str(), column.role.kind())).collect();
        let expected = Expected { columns, target: self.target, named: self.named };
        Csv::new().read_expected(bytes, &expected).map_err(|message| Error::format(origin.as_ref(), message))
    }
}

impl PreparedColumn {
    /// What became of the values that the column lacked.
    fn missing(&self, treated: &str) -> String {
        match self.lacking {
            0 => String::new(),
            count => format!("; {count} missing, {treated}"),
        }
    }

    fn describe(&self) -> String {
        let text = match &self.role {
            Role::Number { format, fill, flag, .. } => {
                let filled = match (fill, flag) {
                    (None, _) => "rows left out".to_owned(),
                    (Some(_), true) => "told by a feature".to_owned(),
                    (Some(fill), false) => format!("taken for {}", shortened(*fill)),
                };
                format!("{format}{}", self.missing(&filled))
            }
            Role::Categories { labels, fill, own } => {
                let filled = match (fill, own) {
                    (_, true) => "a label of their own".to_owned(),
                    (Some(fill), false) => format!("taken for '{fill}'"),
                    (None, false) => "rows left out".to_owned(),
                };
                format!("category, {}{}", counted(labels.len(), "label"), self.missing(&filled))
            }
            Role::Unused { reason } => format!("left out: {reason}"),
            Role::Classes { labels, .. } => {
                format!("target, {}{}", counted(labels.len(), "class"), self.missing("rows left out"))
            }
            Role::Value { format, .. } => format!("target, {format}{}", self.missing("rows left out")),
        };
        match &self.remark {
            Some(remark) => format!("{text} ({remark})"),
            None => text,
        }
    }
}

impl Role {
    const fn features(&self) -> usize {
        match self {
            Self::Number { flag, .. } => 1 + *flag as usize,
            Self::Categories { labels, own, .. } => labels.len() + *own as usize,
            Self::Unused { .. } | Self::Classes { .. } | Self::Value { .. } => 0,
        }
    }

    fn taken_as(&self) -> TakenAs {
        match self {
            Self::Number { format, .. } if format.is_date() => TakenAs::Date,
            Self::Number { .. } => TakenAs::Number,
            Self::Categories { .. } => TakenAs::Categories,
            Self::Unused { reason } if reason == ASKED => TakenAs::Dropped,
            Self::Unused { .. } => TakenAs::LeftOut,
            Self::Classes { .. } => TakenAs::TargetClasses,
            Self::Value { .. } => TakenAs::TargetNumber,
        }
    }

    const fn kind(&self) -> Kind {
        match self {
            Self::Number { format, .. } | Self::Value { format, .. } | Self::Classes { format: Some(format), .. } => {
                Kind::Numbers(*format)
            }
            Self::Categories { .. } | Self::Classes { .. } => Kind::Categories,
            Self::Unused { .. } => Kind::Unused,
        }
    }
}

/// A number for people, with some four digits that say something.
fn shortened(value: f64) -> String {
    let digits = (3 - value.abs().max(1e-300).log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests;
