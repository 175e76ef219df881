//! Tables of numbers and categories, as they stand in a CSV file, and how they become a [`Dataset`].

use super::Dataset;
use crate::error::{Error, Result};
use crate::tensor::TensorData;

/// A table read from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Its columns, all of the same length, which is at least 1.
    pub columns: Vec<Column>,
}

/// A column of a [`Table`].
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// From the header, or the column's number from 0.
    pub name: String,
    /// A value a row.
    pub values: Values,
}

/// The values of a [`Column`].
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// All are finite numbers.
    Numbers(Vec<f64>),
    /// Each is one of a set of labels.
    Categories {
        /// The position of each row's label in `labels`.
        codes: Vec<usize>,
        /// The labels, sorted.
        labels: Vec<String>,
    },
}

/// What the target column of [`Table::dataset`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Classes, whether written as numbers or as words: `y` is i32 `[n]`, counted from 0 in sorted order.
    Classes,
    /// Two classes: `y` is f32 `[n, 1]` of 0 and 1, as a sigmoid output is compared with.
    Binary,
    /// A number to be predicted: `y` is f32 `[n, 1]`.
    Number,
}

impl Table {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, |column| column.values.len())
    }

    /// True where there are no rows, which no file gives.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The position of a column given by name, or else by number: from 0, or from the end where negative.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is none.
    pub fn position(&self, column: &str) -> Result<usize> {
        let names: Vec<String> = self.columns.iter().map(|column| column.name.clone()).collect();
        position(&names, column).map_err(Error::Argument)
    }

    /// The same with each column of categories replaced by one column of 0 and 1 for each label, named `column=label`;
    /// all but the column `except`, which is to be the target.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is no column `except`.
    pub fn one_hot(&self, except: &str) -> Result<Self> {
        let kept = self.position(except)?;
        let mut columns = Vec::new();
        for (number, column) in self.columns.iter().enumerate() {
            match &column.values {
                Values::Categories { codes, labels } if number != kept => {
                    columns.extend(labels.iter().enumerate().map(|(code, label)| Column {
                        name: format!("{}={label}", column.name),
                        values: Values::Numbers(codes.iter().map(|&own| f64::from(u8::from(own == code))).collect()),
                    }));
                }
                _ => columns.push(column.clone()),
            }
        }
        Ok(Self { columns })
    }

    /// A data set: `x`, f32 `[n, columns - 1]`, of all columns but the target (categories as their codes), and `y`.
    /// For classes it has their names.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is no such column; [`Error::Data`] where there is no other, where a target that is to
    /// be a number has categories or one that is to be binary has not two classes, and for numbers beyond f32.
    pub fn dataset(&self, target: &str, kind: Target) -> Result<Dataset> {
        let target = self.position(target)?;
        let (mut features, mut chosen) = (Vec::new(), None);
        for (number, column) in self.columns.iter().enumerate() {
            if number == target { chosen = Some(column) } else { features.push(column.single_precision()?) }
        }
        let Some(chosen) = chosen.filter(|_| !features.is_empty()) else {
            return Err(Error::Data("the table has no column besides the target".into()));
        };
        let rows = self.len();
        let x: Vec<f32> =
            (0..rows).flat_map(|row| features.iter().filter_map(move |column| column.get(row).copied())).collect();
        let x = TensorData::from_vec(x, [rows, features.len()])?;

        let (codes, names) = chosen.values.classes();
        let y = match (kind, &chosen.values) {
            (Target::Classes, _) => TensorData::from_vec(codes.iter().map(|&code| code as i32).collect(), [rows])?,
            (Target::Binary, _) if names.len() == 2 => {
                TensorData::from_vec(codes.iter().map(|&code| code as f32).collect(), [rows, 1])?
            }
            (Target::Binary, _) => {
                return Err(Error::Data(format!(
                    "column '{}' has {} different values, and a binary target has 2",
                    chosen.name,
                    names.len()
                )));
            }
            (Target::Number, Values::Numbers(_)) => TensorData::from_vec(chosen.single_precision()?, [rows, 1])?,
            (Target::Number, Values::Categories { labels, .. }) => {
                return Err(Error::Data(format!(
                    "column '{}' is no number to be predicted: it holds {}",
                    chosen.name,
                    labels.iter().take(3).map(|label| format!("'{label}'")).collect::<Vec<_>>().join(", ")
                )));
            }
        };
        let data = Dataset::new([("x", x), ("y", y)])?;
        Ok(if kind == Target::Number { data } else { data.with_class_names(names) })
    }
}

impl Column {
    fn single_precision(&self) -> Result<Vec<f32>> {
        match &self.values {
            Values::Categories { codes, .. } => Ok(codes.iter().map(|&code| code as f32).collect()),
            Values::Numbers(numbers) => match numbers.iter().find(|value| (**value as f32).is_infinite()) {
                Some(value) => Err(Error::Data(format!("column '{}': {value} is beyond f32", self.name))),
                None => Ok(numbers.iter().map(|&value| value as f32).collect()),
            },
        }
    }
}

impl Values {
    /// Number of rows.
    pub const fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Categories { codes, .. } => codes.len(),
        }
    }

    /// True where there are no rows.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values as classes: a code for each row, and the codes' names. Different numbers are different classes, in
    /// ascending order.
    pub fn classes(&self) -> (Vec<usize>, Vec<String>) {
        match self {
            Self::Categories { codes, labels } => (codes.clone(), labels.clone()),
            Self::Numbers(numbers) => {
                let mut distinct = numbers.clone();
                distinct.sort_by(f64::total_cmp);
                distinct.dedup();
                let codes = numbers.iter().map(|value| distinct.partition_point(|other| other < value)).collect();
                (codes, distinct.iter().map(f64::to_string).collect())
            }
        }
    }
}

/// A column by name, else by number: from 0, or from the end where negative.
pub(super) fn position(names: &[String], column: &str) -> Result<usize, String> {
    if let Some(position) = names.iter().position(|name| name == column) {
        return Ok(position);
    }
    let numbered = column.parse().ok().and_then(|number: isize| {
        let position = if number < 0 { names.len().checked_add_signed(number) } else { usize::try_from(number).ok() };
        position.filter(|&position| position < names.len())
    });
    numbered.ok_or_else(|| format!("there is no column '{column}'; there are {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::csv::Csv;
    use super::*;

    #[test]
    fn tables_become_data_sets() -> Result<()> {
        let table = Csv::new().from_bytes(b"kind,size,price,class\nb,1,10.5,2\na,2,20,10\nb,3,30,2\n", "t")?;
        let classes = table.dataset("class", Target::Classes)?;
        assert_eq!(classes.column("x")?.as_slice::<f32>()?, [1.0, 1.0, 10.5, 0.0, 2.0, 20.0, 1.0, 3.0, 30.0]);
        assert_eq!(
            (classes.labels("y")?, classes.class_names()),
            (vec![0, 1, 0], ["2".into(), "10".into()].as_slice())
        );
        let binary = table.dataset("0", Target::Binary)?;
        assert_eq!(binary.column("y")?, &TensorData::from_vec(vec![1.0_f32, 0.0, 1.0], [3, 1])?);
        let number = table.one_hot("price")?.dataset("price", Target::Number)?;
        assert_eq!(number.column("y")?, &TensorData::from_vec(vec![10.5_f32, 20.0, 30.0], [3, 1])?);
        assert_eq!(number.column("x")?.as_slice::<f32>()?[..4], [0.0, 1.0, 1.0, 2.0]);
        assert_eq!(table.position("-1")?, 3);
        for wrong in ["colour", "4", "-5"] {
            assert!(matches!(table.dataset(wrong, Target::Classes), Err(Error::Argument(_))), "{wrong}");
        }
        assert!(table.dataset("price", Target::Binary).is_err());
        assert!(table.dataset("kind", Target::Number).is_err());
        assert!(Csv::new().from_bytes(b"a\n1\n", "t")?.dataset("a", Target::Number).is_err());
        assert!(Csv::new().from_bytes(b"a,b\n1e300,1\n", "t")?.dataset("b", Target::Number).is_err());
        Ok(())
    }
}
