//! Values that are not there: how tables write them, and what can become of them.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// What becomes of the values that a table lacks. What is filled in comes from the training part alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Missing {
    /// An error that says how many each column lacks.
    #[default]
    Refuse,
    /// Rows that lack one are left out.
    Drop,
    /// The mean of the column's numbers; of categories the most frequent one.
    Mean,
    /// The median of the column's numbers; of categories the most frequent one.
    Median,
    /// The value that is most frequent, the smallest of equals.
    Frequent,
    /// A class of its own, in columns that lack something: among categories one more, beside numbers one more feature that is 1
    /// where the number is lacking (which is then the mean).
    Class,
}

impl Missing {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 6] = [Self::Refuse, Self::Drop, Self::Mean, Self::Median, Self::Frequent, Self::Class];

    /// Its name on the command line and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Drop => "drop",
            Self::Mean => "mean",
            Self::Median => "median",
            Self::Frequent => "frequent",
            Self::Class => "class",
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Missing {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|choice| choice.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::Argument(format!("missing values cannot be treated as {name:?}; there are {names}"))
        })
    }
}

/// The markers with which tables of this world write that nothing is known.
pub(super) fn is_missing(cell: &str) -> bool {
    const MARKS: [&str; 11] = ["", "?", "na", "n/a", "nan", "-nan", "null", "#n/a", "#na", "<na>", "\\n"];
    MARKS.iter().any(|mark| cell.eq_ignore_ascii_case(mark))
}

/// What stands for nothing among numbers, while among words it may be one of them.
pub(super) fn is_missing_number(cell: &str) -> bool {
    const MARKS: [&str; 11] = ["-", "--", "–", "—", ".", "..", "none", "nil", "missing", "unknown", "n.a."];
    is_missing(cell) || MARKS.iter().any(|mark| cell.eq_ignore_ascii_case(mark))
}
