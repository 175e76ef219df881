//! Tables to tensors: everything in f64 until a feature is written.

use super::{Preparation, PreparedColumn, Role};
use crate::data::Dataset;
use crate::data::column::{Column, Values};
use crate::data::missing::Missing;
use crate::data::single_precision::{keeps_differences, single};
use crate::data::spread::standardized;
use crate::data::table::{Table, Target};
use crate::error::{Error, Result};
use crate::tensor::TensorData;

impl Preparation {
    /// The features of a table's rows: f32 `[n, features]`. Numbers are standardized, which is done in f64; a label is 1 in its
    /// own feature, and one that the training part did not have is 0 in all ([`unknown`](Self::unknown) counts them).
    ///
    /// # Errors
    /// [`Error::Data`] where the table lacks a column, holds something else in it, or lacks values that are not filled in.
    pub fn features_of(&self, table: &Table) -> Result<TensorData> {
        let (rows, width) = (table.len(), self.features());
        let mut x = vec![0.0_f32; rows * width];
        let mut start = 0;
        for (prepared, source) in self.columns.iter().zip(self.sources(table)?) {
            let Some(column) = source.filter(|_| prepared.role.features() > 0) else { continue };
            for (row, features) in x.chunks_exact_mut(width).enumerate() {
                let own = features.get_mut(start..start + prepared.role.features()).unwrap_or_default();
                prepared.write(column, row, own).map_err(|problem| {
                    Error::Data(format!("line {}, column '{}': {problem}", table.line(row), prepared.name))
                })?;
            }
            start += prepared.role.features();
            if let (Role::Number { mean, std, .. }, Values::Numbers { values, .. }) = (&prepared.role, &column.values) {
                precise(&prepared.name, values, *mean, *std)?;
            }
        }
        TensorData::from_vec(x, [rows, width])
    }

    /// The targets of a table's rows: i32 `[n]` of classes, f32 `[n, 1]` of 0 and 1 for two classes, and of a number standardized,
    /// as [`restored`](Self::restored) inverts it.
    ///
    /// # Errors
    /// [`Error::Data`] where the table has no target, a row lacks it, or it is a class that did not occur in training.
    pub fn targets_of(&self, table: &Table) -> Result<TensorData> {
        let sources = self.sources(table)?;
        let (Some(prepared), Some(Some(column))) = (self.columns.get(self.target), sources.get(self.target)) else {
            return Err(Error::Data(format!("the table has no column '{}', the target", self.target_name())));
        };
        let problem = |row: usize, problem: String| {
            Error::Data(format!("line {}, column '{}': {problem}", table.line(row), prepared.name))
        };
        let rows = table.len();
        if let Role::Value { mean, std, .. } = &prepared.role {
            let value = |row: usize| match number(column, row) {
                Ok(Some(value)) => {
                    single(standardized(value, *mean, *std), value).map_err(|message| problem(row, message))
                }
                Ok(None) => Err(problem(row, "the target is missing".into())),
                Err(message) => Err(problem(row, message)),
            };
            let y = TensorData::from_vec((0..rows).map(value).collect::<Result<Vec<f32>>>()?, [rows, 1])?;
            if let Values::Numbers { values, .. } = &column.values {
                precise(&prepared.name, values, *mean, *std)?;
            }
            return Ok(y);
        }
        let names = self.class_names();
        let Values::Categories { codes, labels } = column.values.to_categories() else {
            return Err(column.no_number());
        };
        let known: Vec<Option<usize>> =
            labels.iter().map(|label| names.iter().position(|name| name == label)).collect();
        let class = |row: usize| match codes.get(row).copied().flatten() {
            None => Err(problem(row, "the target is missing".into())),
            Some(code) => known.get(code).copied().flatten().ok_or_else(|| {
                let label = labels.get(code).map_or("", String::as_str);
                problem(row, format!("'{label}' is none of the classes: {}", names.join(", ")))
            }),
        };
        let classes = (0..rows).map(class).collect::<Result<Vec<usize>>>()?;
        match self.target() {
            Target::Binary => TensorData::from_vec(classes.iter().map(|&class| class as f32).collect(), [rows, 1]),
            Target::Classes | Target::Number => {
                TensorData::from_vec(classes.iter().map(|&class| class as i32).collect(), [rows])
            }
        }
    }

    /// The rows of a table that can be tested with: those with a target and, where missing values are not filled in, all features.
    ///
    /// # Errors
    /// [`Error::Data`] where the table lacks a column, where values are missing and refused, and where no row is left.
    pub fn usable_rows(&self, table: &Table) -> Result<Vec<usize>> {
        self.rows_with(table, &|number| self.is_feature(number) || number == self.target, &|number| {
            number == self.target
        })
    }

    /// The rows of a table that can be predicted: those whose features are all there, or are filled in. Whether a row has a target does not
    /// matter.
    ///
    /// # Errors
    /// As for [`usable_rows`](Self::usable_rows).
    pub fn answerable_rows(&self, table: &Table) -> Result<Vec<usize>> {
        self.rows_with(table, &|number| self.is_feature(number), &|_| false)
    }

    /// The rows of a table that have a target; none where it has no such column.
    ///
    /// # Errors
    /// [`Error::Data`] where the table lacks another column.
    pub fn rows_with_target(&self, table: &Table) -> Result<Vec<usize>> {
        let sources = self.sources(table)?;
        let target = sources.get(self.target).copied().flatten();
        Ok(target.map_or_else(Vec::new, |column| (0..table.len()).filter(|&row| column.values.has(row)).collect()))
    }

    fn is_feature(&self, column: usize) -> bool {
        self.columns.get(column).is_some_and(|column| column.role.features() > 0)
    }

    /// Rows that lack none of the `used` columns, or, where something stands for missing values, none of the `needed` ones.
    fn rows_with(
        &self,
        table: &Table,
        used: &dyn Fn(usize) -> bool,
        needed: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<usize>> {
        let sources = self.sources(table)?;
        let index = |column: &Column| table.columns.iter().position(|own| std::ptr::eq(own, column));
        let indices = |wanted: &dyn Fn(usize) -> bool| -> Vec<usize> {
            let chosen = sources.iter().enumerate().filter(|(number, _)| wanted(*number));
            chosen.filter_map(|(_, source)| source.and_then(index)).collect()
        };
        let rows = match self.missing {
            Missing::Refuse => {
                table.refuse_missing_in(&indices(used)).map_err(Error::Data)?;
                (0..table.len()).collect()
            }
            Missing::Drop => table.complete_rows(&indices(used)),
            Missing::Mean | Missing::Median | Missing::Frequent | Missing::Class => {
                table.complete_rows(&indices(needed))
            }
        };
        if rows.is_empty() { Err(Error::Data("no row of the table lacks nothing".into())) } else { Ok(rows) }
    }

    /// Features `x` and targets `y` of all rows, with the names of classes.
    ///
    /// # Errors
    /// As for [`features_of`](Self::features_of) and [`targets_of`](Self::targets_of).
    pub fn dataset(&self, table: &Table) -> Result<Dataset> {
        let data = Dataset::new([("x", self.features_of(table)?), ("y", self.targets_of(table)?)])?;
        Ok(data.with_class_names(self.class_names().iter().cloned()))
    }

    /// Whether a table has the target in every row.
    pub fn has_targets(&self, table: &Table) -> bool {
        let target = self.sources(table).ok().and_then(|sources| sources.get(self.target).copied().flatten());
        target.is_some_and(|column| column.values.missing() == 0)
    }

    /// How many values of each column are labels that the training part did not have; columns without any are left out.
    ///
    /// # Errors
    /// [`Error::Data`] where the table lacks a column.
    pub fn unknown(&self, table: &Table) -> Result<Vec<(&str, usize)>> {
        let mut counts = Vec::new();
        for (prepared, source) in self.columns.iter().zip(self.sources(table)?) {
            let (Role::Categories { labels: own, .. }, Some(column)) = (&prepared.role, source) else { continue };
            let Values::Categories { codes, labels } = &column.values else { continue };
            let is_new: Vec<bool> = labels.iter().map(|label| !own.contains(label)).collect();
            let count = codes.iter().flatten().filter(|&&code| is_new.get(code) == Some(&true)).count();
            if count > 0 {
                counts.push((prepared.name.as_str(), count));
            }
        }
        Ok(counts)
    }

    /// The table's column for each of these, None where it is not used or is a target that is not there.
    fn sources<'table>(&self, table: &'table Table) -> Result<Vec<Option<&'table Column>>> {
        let same = table.columns.len() == self.columns.len()
            && table.columns.iter().zip(&self.columns).all(|(own, prepared)| own.name == prepared.name);
        if same {
            return Ok(table.columns.iter().map(Some).collect());
        }
        let mut taken = vec![false; table.columns.len()];
        let mut sources = Vec::new();
        for (number, prepared) in self.columns.iter().enumerate() {
            if matches!(prepared.role, Role::Unused { .. }) {
                sources.push(None);
                continue;
            }
            let free =
                |&(index, column): &(usize, &Column)| column.name == prepared.name && taken.get(index) == Some(&false);
            let found = table.columns.iter().enumerate().find(free);
            if let Some(taken) = found.and_then(|(index, _)| taken.get_mut(index)) {
                *taken = true;
            } else if number != self.target {
                return Err(Error::Data(format!("the table has no column '{}'", prepared.name)));
            }
            sources.push(found.map(|(_, column)| column));
        }
        Ok(sources)
    }
}

impl PreparedColumn {
    /// Writes the features of a row, which are 0.
    fn write(&self, column: &Column, row: usize, features: &mut [f32]) -> Result<(), String> {
        let mut set =
            |index: usize, value: f32| features.get_mut(index).into_iter().for_each(|feature| *feature = value);
        match &self.role {
            Role::Number { mean, std, fill, flag, .. } => {
                let value = number(column, row)?;
                if *flag && value.is_none() {
                    set(1, 1.0);
                }
                let value = value.or(*fill).ok_or("the value is missing")?;
                set(0, single(standardized(value, *mean, *std), value)?);
            }
            Role::Categories { labels, fill, own } => {
                let label = match label(column, row) {
                    Some(label) => Some(label),
                    None if *own => None,
                    None => Some(fill.clone().ok_or("the value is missing")?),
                };
                match label {
                    None => set(labels.len(), 1.0),
                    Some(label) => {
                        labels.binary_search(&label).into_iter().for_each(|index| set(index, 1.0));
                    }
                }
            }
            Role::Unused { .. } | Role::Classes { .. } | Role::Value { .. } => {}
        }
        Ok(())
    }
}

/// An error where f32 loses how the values of a column differ, once they are standardized.
fn precise(name: &str, values: &[Option<f64>], mean: f64, std: f64) -> Result<()> {
    let values: Vec<f64> = values.iter().flatten().map(|&value| standardized(value, mean, std)).collect();
    keeps_differences(&values).map_err(|problem| Error::Data(format!("column '{name}': {problem}")))
}

fn number(column: &Column, row: usize) -> Result<Option<f64>, String> {
    match &column.values {
        Values::Numbers { values, .. } => Ok(values.get(row).copied().flatten()),
        Values::Categories { .. } => Err("there is a word where a number should be".into()),
    }
}

fn label(column: &Column, row: usize) -> Option<String> {
    match &column.values {
        Values::Categories { codes, labels } => labels.get(codes.get(row).copied().flatten()?).cloned(),
        Values::Numbers { values, .. } => values.get(row).copied().flatten().map(|value| value.to_string()),
    }
}
