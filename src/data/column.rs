//! A column of a table: numbers or categories, some of which may be missing.

use super::format::Format;
use super::single_precision;
use crate::error::{Error, Result, counted};

/// The remark on a column that is categories because the user says so.
pub(super) const ASKED: &str = "as asked";

/// A column of a [`Table`](super::Table).
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// From the header, or the column's number from 0.
    pub name: String,
    /// A value a row.
    pub values: Values,
    /// What is odd about how it was read, for people.
    pub remark: Option<String>,
}

/// The values of a [`Column`]; None where one is missing.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Finite numbers.
    Numbers {
        /// One a row.
        values: Vec<Option<f64>>,
        /// How they were written.
        format: Format,
    },
    /// Each is one of a set of labels.
    Categories {
        /// The position of each row's label in `labels`.
        codes: Vec<Option<usize>>,
        /// The labels, sorted.
        labels: Vec<String>,
    },
}

impl Column {
    /// A column of some values.
    pub fn named(name: impl Into<String>, values: Values) -> Self {
        Self { name: name.into(), values, remark: None }
    }

    /// What it holds, in a few words for people: `number with decimal comma, 3 missing`.
    pub fn describe(&self) -> String {
        let mut text = match &self.values {
            values if values.is_blank() => return "empty".to_owned(),
            Values::Numbers { format, .. } => format.to_string(),
            Values::Categories { labels, .. } => format!("category with {}", counted(labels.len(), "class")),
        };
        let missing = self.values.missing();
        if missing > 0 {
            text += &format!(", {missing} missing");
        }
        match &self.remark {
            Some(remark) => format!("{text} ({remark})"),
            None => text,
        }
    }

    /// A column without a name that counts the rows from 0 or 1, as pandas writes its index.
    pub(super) fn is_index(&self) -> bool {
        let Values::Numbers { values, .. } = &self.values else { return false };
        let unnamed = self.name.is_empty() || self.name.starts_with("Unnamed: ");
        let counts = |start: usize| values.iter().enumerate().all(|(row, value)| *value == Some((row + start) as f64));
        unnamed && (counts(0) || counts(1))
    }

    /// Numbers that are neither times nor the numbers of rows.
    pub(super) fn is_measured(&self) -> bool {
        let number = matches!(&self.values, Values::Numbers { format, .. } if !format.is_date());
        number && !self.values.is_blank() && !self.is_index()
    }

    /// As [`Values::classes`], with the column's name in the error.
    pub(super) fn classes(&self) -> Result<(Vec<usize>, Vec<String>)> {
        self.values.classes().map_err(|error| Error::Data(format!("column '{}': {error}", self.name)))
    }

    pub(super) fn no_number(&self) -> Error {
        let labels = match &self.values {
            Values::Categories { labels, .. } => labels.iter().take(3).map(|label| format!("'{label}'")).collect(),
            Values::Numbers { .. } => Vec::new(),
        };
        Error::Data(format!("column '{}' is no number to be predicted: it holds {}", self.name, labels.join(", ")))
    }

    pub(super) fn single_precision(&self) -> Result<Vec<f32>> {
        match &self.values {
            Values::Categories { .. } => Ok(self.classes()?.0.into_iter().map(|code| code as f32).collect()),
            Values::Numbers { .. } => {
                let numbers = self.values.numbers()?;
                if let Some(value) = numbers.iter().find(|value| (**value as f32).is_infinite()) {
                    return Err(Error::Data(format!("column '{}': {value} is beyond f32", self.name)));
                }
                single_precision::fits_single_precision(&numbers)
                    .map_err(|message| Error::Data(format!("column '{}': {message}", self.name)))?;
                Ok(numbers.iter().map(|&value| value as f32).collect())
            }
        }
    }
}

impl Values {
    /// Numbers, none of them missing.
    pub fn of_numbers(numbers: impl IntoIterator<Item = f64>) -> Self {
        Self::Numbers { values: numbers.into_iter().map(Some).collect(), format: Format::default() }
    }

    pub(super) fn empty() -> Self {
        Self::of_numbers([])
    }

    /// Number of rows.
    pub const fn len(&self) -> usize {
        match self {
            Self::Numbers { values, .. } => values.len(),
            Self::Categories { codes, .. } => codes.len(),
        }
    }

    /// True where there are no rows.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a row has a value.
    pub fn has(&self, row: usize) -> bool {
        match self {
            Self::Numbers { values, .. } => values.get(row).is_some_and(Option::is_some),
            Self::Categories { codes, .. } => codes.get(row).is_some_and(Option::is_some),
        }
    }

    /// Number of rows without a value.
    pub fn missing(&self) -> usize {
        (0..self.len()).filter(|&row| !self.has(row)).count()
    }

    /// True where no row has a value.
    pub fn is_blank(&self) -> bool {
        !(0..self.len()).any(|row| self.has(row))
    }

    /// The numbers.
    ///
    /// # Errors
    /// [`Error::Data`] for categories, and where a number is missing.
    pub fn numbers(&self) -> Result<Vec<f64>> {
        match self {
            Self::Categories { .. } => Err(Error::Data("there are categories where numbers should be".into())),
            Self::Numbers { values, .. } => values.iter().copied().collect::<Option<_>>().ok_or_else(missing),
        }
    }

    /// The values as classes: a code for each row, and the codes' names. Different numbers are different classes, in
    /// ascending order.
    ///
    /// # Errors
    /// [`Error::Data`] where a value is missing.
    pub fn classes(&self) -> Result<(Vec<usize>, Vec<String>)> {
        match self.to_categories() {
            Self::Categories { codes, labels } => {
                Ok((codes.into_iter().collect::<Option<_>>().ok_or_else(missing)?, labels))
            }
            Self::Numbers { .. } => Err(Error::Data("numbers are no classes".into())),
        }
    }

    /// The values as categories: different numbers are different ones, in ascending order.
    #[must_use]
    pub fn to_categories(&self) -> Self {
        match self {
            Self::Categories { .. } => self.clone(),
            Self::Numbers { values, .. } => {
                let mut distinct: Vec<f64> = values.iter().copied().flatten().collect();
                distinct.sort_by(f64::total_cmp);
                distinct.dedup();
                let code = |value: f64| distinct.partition_point(|other| *other < value);
                Self::Categories {
                    codes: values.iter().map(|value| value.map(code)).collect(),
                    labels: distinct.iter().map(f64::to_string).collect(),
                }
            }
        }
    }

    pub(super) fn take(&self, rows: &[usize]) -> Self {
        match self {
            Self::Numbers { values, format } => Self::Numbers {
                values: rows.iter().map(|&row| values.get(row).copied().flatten()).collect(),
                format: *format,
            },
            Self::Categories { codes, labels } => Self::Categories {
                codes: rows.iter().map(|&row| codes.get(row).copied().flatten()).collect(),
                labels: labels.clone(),
            },
        }
    }
}

fn missing() -> Error {
    Error::Data("a value is missing".into())
}
