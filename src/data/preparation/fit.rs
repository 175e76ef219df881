//! What is to be learned from a table, and the statistics of its training rows.

use super::super::column::ASKED;
use super::{Preparation, PreparedColumn, Role};
use crate::data::Dataset;
use crate::data::column::{Column, Values};
use crate::data::missing::Missing;
use crate::data::spread::Spread;
use crate::data::table::{Table, Target};
use crate::error::{Error, Result, counted};

/// A target with more different values than this is no class but a number, or a mistake.
const MOST_CLASSES: usize = 100;

/// The most different values with which integers are classes, if each occurs a few times.
const MOST_NUMBERED_CLASSES: usize = 20;

/// How often the values of a target occur, on average, that are taken for classes though they are numbers.
const FEWEST_PER_CLASS: usize = 3;

/// The most labels of a column of words; more are names or keys, from which nothing general is learned.
const MOST_LABELS: usize = 1000;

/// So few labels are categories whatever the number of rows.
const FEW_LABELS: usize = 20;

/// What the target means, as far as the user says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Goal {
    /// Words are classes, and integers with few different values; other numbers are to be predicted as such.
    #[default]
    Detect,
    /// Classes.
    Classification,
    /// A number.
    Regression,
}

/// What is to be learned from a table, and how its columns are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparationOptions {
    target: String,
    goal: Goal,
    missing: Missing,
    left_out: Vec<String>,
}

/// The parts of [`PreparationOptions::split`].
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// What was learned from the training part.
    pub preparation: Preparation,
    /// The training part.
    pub train: Dataset,
    /// The rest.
    pub test: Dataset,
    /// Rows of the table in the training part.
    pub train_rows: Vec<usize>,
    /// Rows in the rest.
    pub test_rows: Vec<usize>,
}

impl PreparationOptions {
    /// For a target column, by name or number as in [`Table::position`].
    pub fn new(target: impl Into<String>) -> Self {
        Self { target: target.into(), goal: Goal::Detect, missing: Missing::Refuse, left_out: Vec::new() }
    }

    /// Whether classes are learned or a number.
    #[must_use]
    pub const fn goal(mut self, goal: Goal) -> Self {
        self.goal = goal;
        self
    }

    /// What becomes of missing values. Rows whose target is missing are never learned from; where others are refused, they are too.
    #[must_use]
    pub const fn missing(mut self, missing: Missing) -> Self {
        self.missing = missing;
        self
    }

    /// Columns that are not used, by name or number.
    #[must_use]
    pub fn leave_out<Name: Into<String>>(mut self, columns: impl IntoIterator<Item = Name>) -> Self {
        self.left_out.extend(columns.into_iter().map(Into::into));
        self
    }

    /// What the target means: what was said, or what its values look like.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is no such column; [`Error::Data`] for a target without different values, for words that are
    /// to be a number, and for classes that are too many to be any.
    pub fn target(&self, table: &Table) -> Result<Target> {
        let column = table.column(&self.target)?;
        let Values::Categories { labels, codes } = column.values.to_categories() else {
            return Err(column.no_number());
        };
        let classes = labels.len();
        if classes < 2 {
            let problem = if classes == 0 { "is empty" } else { "has the same value everywhere" };
            return Err(Error::Data(format!("column '{}' {problem}: there is nothing to learn", column.name)));
        }
        let is_number = match (self.goal, &column.values) {
            (Goal::Regression, Values::Categories { .. }) => return Err(column.no_number()),
            (Goal::Regression, Values::Numbers { .. }) => true,
            (Goal::Classification, _) | (Goal::Detect, Values::Categories { .. }) => false,
            (Goal::Detect, Values::Numbers { values, .. }) => {
                let whole = values.iter().flatten().all(|value| value.fract() == 0.0);
                let rows = codes.iter().flatten().count();
                let few = classes <= MOST_NUMBERED_CLASSES && rows >= FEWEST_PER_CLASS * classes;
                classes > 2 && !(whole && few)
            }
        };
        match classes {
            _ if is_number => Ok(Target::Number),
            2 => Ok(Target::Binary),
            count if count <= MOST_CLASSES => Ok(Target::Classes),
            count => Err(Error::Data(format!(
                "column '{}' has {count} different values: that is no class (at most {MOST_CLASSES})",
                column.name
            ))),
        }
    }

    /// The rows that can be learned from: those with a target, and with [`Missing::Drop`] all else that is used.
    ///
    /// # Errors
    /// As for [`fit`](Self::fit).
    pub fn rows(&self, table: &Table) -> Result<Vec<usize>> {
        let target = table.position(&self.target)?;
        let unused = self.unused(table)?;
        let used: Vec<usize> = (0..table.columns.len())
            .filter(|&column| column == target || matches!(unused.get(column), Some(None)))
            .collect();
        if self.missing == Missing::Refuse {
            table.refuse_missing_in(&used).map_err(Error::Data)?;
        }
        let rows =
            table.complete_rows(if self.missing == Missing::Drop { &used } else { std::slice::from_ref(&target) });
        if rows.is_empty() {
            return Err(Error::Data("without those that lack a value, no row of the table is left".into()));
        }
        Ok(rows)
    }

    /// Usable rows in two parts, the first with `fraction` of them, each class in the same proportion in both; what is learned
    /// from the first part, and the data of both.
    ///
    /// # Errors
    /// As for [`fit`](Self::fit); [`Error::Argument`] where a part would be empty.
    pub fn split(&self, table: &Table, fraction: f64, seed: u64) -> Result<Parts> {
        let rows = self.rows(table)?;
        let usable = table.take(&rows)?;
        let (first, second) = match self.target(&usable)? {
            Target::Number => usable.split_rows(fraction, seed)?,
            Target::Classes | Target::Binary => usable.stratified_rows(&self.target, fraction, seed)?,
        };
        let original = |part: Vec<usize>| part.iter().filter_map(|&row| rows.get(row).copied()).collect::<Vec<usize>>();
        let (train_rows, test_rows) = (original(first), original(second));
        let preparation = self.fit(table, &train_rows)?;
        let train = preparation.dataset(&table.take(&train_rows)?)?;
        let test = preparation.dataset(&table.take(&test_rows)?)?;
        Ok(Parts { preparation, train, test, train_rows, test_rows })
    }

    /// Learns from some rows of a table what prepares it and others like it. What a column is good for is judged from the whole
    /// table, and so are the names of the classes; means, deviations, categories and what is filled in come from the training rows
    /// alone.
    ///
    /// # Errors
    /// [`Error::Argument`] where a column or a row is not there; [`Error::Data`] where values are missing and that was not allowed,
    /// where a column of words has too many of them, where no column is left, and as for [`target`](Self::target).
    pub fn fit(&self, table: &Table, training: &[usize]) -> Result<Preparation> {
        let target = table.position(&self.target)?;
        let kind = self.target(table)?;
        let unused = self.unused(table)?;
        let train = table.take(training)?;
        let mut columns = Vec::new();
        for (number, ((column, own), unused)) in table.columns.iter().zip(&train.columns).zip(unused).enumerate() {
            let role = match unused {
                _ if number == target => target_role(column, own, kind)?,
                Some(reason) => Role::Unused { reason },
                None => self.feature(own, &train, number, column.values.missing() > 0)?,
            };
            let remarks = [column.remark.clone(), constant(own, &role).map(str::to_owned)];
            let remarks: Vec<String> = remarks.into_iter().flatten().collect();
            let remark =
                Some(remarks.join("; ")).filter(|text| !text.is_empty() && !matches!(role, Role::Unused { .. }));
            let lacking = column.values.missing();
            columns.push(PreparedColumn { name: column.name.clone(), role, lacking, remark });
        }
        let preparation = Preparation { columns, target, missing: self.missing, named: table.header_line().is_some() };
        if preparation.features() == 0 {
            return Err(Error::Data("the table has no column besides the target that can be used".into()));
        }
        Ok(preparation)
    }

    /// Why columns are not used; None for those that are.
    fn unused(&self, table: &Table) -> Result<Vec<Option<String>>> {
        let target = table.position(&self.target)?;
        let asked = self.left_out.iter().map(|column| table.position(column)).collect::<Result<Vec<usize>>>()?;
        if asked.contains(&target) {
            return Err(Error::Argument(format!("column '{}' is the target, and cannot be left out", self.target)));
        }
        let reason = |(number, column): (usize, &Column)| match &column.values {
            _ if number == target => Ok(None),
            _ if asked.contains(&number) => Ok(Some(ASKED.to_owned())),
            values if values.is_blank() => Ok(Some("it has no values".to_owned())),
            Values::Numbers { .. } if column.is_index() => Ok(Some("it numbers the rows and has no name".to_owned())),
            Values::Categories { labels, .. } if column.remark.as_deref() != Some(ASKED) => {
                let rows = column.values.len();
                match labels.len() {
                    words if words > FEW_LABELS && 2 * words > rows => {
                        Ok(Some(format!("{words} different words in {} are no categories", counted(rows, "row"))))
                    }
                    words if words > MOST_LABELS => Err(Error::Data(format!(
                        "column '{}' has {words} different words: too many for categories (at most {MOST_LABELS}); \
                         it has to be left out (PreparationOptions::leave_out, --drop on the command line)",
                        column.name
                    ))),
                    _ => Ok(None),
                }
            }
            Values::Numbers { .. } | Values::Categories { .. } => Ok(None),
        };
        table.columns.iter().enumerate().map(reason).collect()
    }

    fn feature(&self, column: &Column, train: &Table, number: usize, lacks: bool) -> Result<Role> {
        if matches!(self.missing, Missing::Refuse | Missing::Drop) {
            train.refuse_missing_in(&[number]).map_err(Error::Data)?;
        }
        let own = self.missing == Missing::Class && lacks;
        match &column.values {
            Values::Numbers { values, format } => {
                let mut known: Vec<f64> = values.iter().copied().flatten().collect();
                let spread = Spread::of(known.iter().copied());
                let (mean, std) = (spread.mean, spread.scale());
                known.sort_by(f64::total_cmp);
                let fill = match self.missing {
                    Missing::Refuse | Missing::Drop => None,
                    Missing::Mean | Missing::Class => Some(mean),
                    Missing::Median => Some(median(&known)),
                    Missing::Frequent => most_frequent(&known).copied(),
                };
                let fill = fill.filter(|_| !known.is_empty()).or(fill.map(|_| 0.0));
                Ok(Role::Number { format: *format, mean, std, fill, flag: own })
            }
            Values::Categories { codes, labels } => {
                let mut known: Vec<usize> = codes.iter().copied().flatten().collect();
                known.sort_unstable();
                let fill = match self.missing {
                    Missing::Refuse | Missing::Drop => None,
                    Missing::Class if own => None,
                    // Where nothing was missing, there is no label for it either; later tables may lack something all the same.
                    Missing::Class | Missing::Mean | Missing::Median | Missing::Frequent => {
                        most_frequent(&known).and_then(|&code| labels.get(code).cloned())
                    }
                };
                known.dedup();
                let labels = known.iter().filter_map(|&code| labels.get(code).cloned()).collect();
                Ok(Role::Categories { labels, fill, own })
            }
        }
    }
}

/// What is to be told of a column of numbers from which nothing is learned, as they are all alike.
fn constant(train: &Column, role: &Role) -> Option<&'static str> {
    let (Role::Number { .. } | Role::Value { .. }, Values::Numbers { values, .. }) = (role, &train.values) else {
        return None;
    };
    let known = || values.iter().copied().flatten();
    let differ = known().next().is_some_and(|first| known().any(|value| value != first));
    Spread::of(known()).is_constant().then_some(if differ {
        "its training values differ by less than f64 can tell: nothing is learned from it"
    } else {
        "the same value in all training rows: nothing is learned from it"
    })
}

fn target_role(column: &Column, train: &Column, kind: Target) -> Result<Role> {
    let format = match &column.values {
        Values::Numbers { format, .. } => Some(*format),
        Values::Categories { .. } => None,
    };
    if kind != Target::Number {
        let Values::Categories { labels, .. } = column.values.to_categories() else { return Err(column.no_number()) };
        return Ok(Role::Classes { labels, format });
    }
    let numbers = train.values.numbers().map_err(|error| Error::Data(format!("column '{}': {error}", column.name)))?;
    let spread = Spread::of(numbers.iter().copied());
    let (mean, std) = (spread.mean, spread.scale());
    // Errors are told squared, in the target's own unit.
    if !(std * std).is_finite() {
        return Err(Error::Data(format!(
            "column '{}': its values are so far apart that f64 cannot hold the squares of errors",
            column.name
        )));
    }
    Ok(Role::Value { format: format.unwrap_or_default(), mean, std })
}

/// The middle one of sorted numbers, or the mean of the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    let at = |index: usize| sorted.get(index).copied().unwrap_or(0.0);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => at(count / 2),
        count => at(count / 2 - 1) / 2.0 + at(count / 2) / 2.0,
    }
}

/// Of sorted values the one that occurs most often; of equally frequent ones the smallest, as in scikit-learn.
fn most_frequent<T: PartialEq>(sorted: &[T]) -> Option<&T> {
    let mut best: &[T] = &[];
    for run in sorted.chunk_by(T::eq) {
        if run.len() > best.len() {
            best = run;
        }
    }
    best.first()
}
