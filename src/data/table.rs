//! Tables of numbers and categories, as they stand in a CSV file, and how they become a [`Dataset`].

use super::Dataset;
use super::column::{Column, Values};
use crate::error::{Error, Result, counted};
use crate::tensor::TensorData;

/// A table read from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Its columns, all of the same length, which is at least 1.
    pub columns: Vec<Column>,
    /// The line of each row in its file.
    pub(super) lines: Vec<usize>,
    /// The line of the header, where there is one.
    pub(super) header: Option<usize>,
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
    /// A table of columns that come from no file; its rows count as lines from 1.
    ///
    /// # Errors
    /// [`Error::Data`] for no columns, none with a row, and columns of unequal length.
    pub fn new(columns: Vec<Column>) -> Result<Self> {
        let rows = columns.first().map_or(0, |column| column.values.len());
        if rows == 0 || columns.iter().any(|column| column.values.len() != rows) {
            return Err(Error::Data("a table has columns of the same length, with at least one row".into()));
        }
        Ok(Self { columns, lines: (1..=rows).collect(), header: None })
    }

    /// Number of rows.
    pub const fn len(&self) -> usize {
        self.lines.len()
    }

    /// True where there are no rows, which no file gives.
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The line of the file that names the columns, where one does.
    pub const fn header_line(&self) -> Option<usize> {
        self.header
    }

    /// The line of a row in its file, for people; 0 for a row that there is not.
    pub fn line(&self, row: usize) -> usize {
        self.lines.get(row).copied().unwrap_or(0)
    }

    /// The position of a column given by name, or else by number: from 0, or from the end where negative.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is none, or where several have the name.
    pub fn position(&self, column: &str) -> Result<usize> {
        let names: Vec<String> = self.columns.iter().map(|column| column.name.clone()).collect();
        position(&names, column).map_err(Error::Argument)
    }

    /// The same rows in another selection and order; every column keeps its labels, also those that are left in no row.
    ///
    /// # Errors
    /// [`Error::Argument`] for a row beyond the table; [`Error::Data`] for no rows at all.
    pub fn take(&self, rows: &[usize]) -> Result<Self> {
        if rows.is_empty() {
            return Err(Error::Data("no row of the table is left".into()));
        }
        let missing = |row: usize| Error::Argument(format!("there is no row {row}; there are {}", self.len()));
        let line = |&row: &usize| self.lines.get(row).copied().ok_or_else(|| missing(row));
        let lines = rows.iter().map(line).collect::<Result<_>>()?;
        let columns = self.columns.iter().map(|column| Column {
            name: column.name.clone(),
            values: column.values.take(rows),
            remark: column.remark.clone(),
        });
        Ok(Self { columns: columns.collect(), lines, header: self.header })
    }

    /// The columns that lack values, by name, with how many; a column without any value is not among them.
    pub fn missing(&self) -> Vec<(&str, usize)> {
        let lacking = self.columns.iter().filter(|column| !column.values.is_blank());
        lacking.map(|column| (column.name.as_str(), column.values.missing())).filter(|(_, count)| *count > 0).collect()
    }

    /// The rows that lack nothing in any column but those without a value.
    ///
    /// # Errors
    /// [`Error::Data`] where no row is left.
    pub fn without_missing(&self) -> Result<Self> {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        self.take(&self.complete_rows(&all))
    }

    /// The rows that lack nothing in some columns.
    pub(super) fn complete_rows(&self, columns: &[usize]) -> Vec<usize> {
        let columns: Vec<&Values> =
            columns.iter().filter_map(|&column| self.columns.get(column)).map(|column| &column.values).collect();
        let lacks = |row: usize| columns.iter().any(|values| !values.is_blank() && !values.has(row));
        (0..self.len()).filter(|&row| !lacks(row)).collect()
    }

    /// An error, in words, for the first value that is missing, with the count in each column.
    pub(super) fn refuse_missing(&self) -> Result<(), String> {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        self.refuse_missing_in(&all)
    }

    pub(super) fn refuse_missing_in(&self, columns: &[usize]) -> Result<(), String> {
        let columns: Vec<&Column> = columns.iter().filter_map(|&column| self.columns.get(column)).collect();
        let lacking: Vec<&&Column> =
            columns.iter().filter(|column| !column.values.is_blank() && column.values.missing() > 0).collect();
        let first = |column: &&&Column| (0..self.len()).find(|&row| !column.values.has(row)).unwrap_or(0);
        let Some(column) = lacking.iter().min_by_key(|column| first(column)) else { return Ok(()) };
        let counts: Vec<String> =
            lacking.iter().map(|column| format!("{} in column '{}'", column.values.missing(), column.name)).collect();
        Err(format!(
            "line {}, column '{}': the value is missing; in all {}, missing are {}",
            self.line(first(column)),
            column.name,
            counted(self.len(), "row"),
            counts.join(", ")
        ))
    }

    /// Rows in two parts, the first with `fraction` of them, as [`Dataset::split`] does it.
    ///
    /// # Errors
    /// [`Error::Argument`] where a part would be empty.
    pub fn split_rows(&self, fraction: f64, seed: u64) -> Result<(Vec<usize>, Vec<usize>)> {
        let rows = TensorData::from_vec((0..self.len() as i64).collect(), [self.len()])?;
        let (first, second) = Dataset::new([("row", rows)])?.split(fraction, seed)?;
        Ok((first.labels("row")?, second.labels("row")?))
    }

    /// As [`split_rows`](Self::split_rows), with each class of a column in the same proportion in both parts, as
    /// [`Dataset::stratified_split`] does it.
    ///
    /// # Errors
    /// [`Error::Argument`] where a part would be empty or there is no such column; [`Error::Data`] where the column lacks values.
    pub fn stratified_rows(&self, column: &str, fraction: f64, seed: u64) -> Result<(Vec<usize>, Vec<usize>)> {
        let column = self.column(column)?;
        let codes: Vec<i64> = column.classes()?.0.into_iter().map(|code| code as i64).collect();
        let rows = TensorData::from_vec((0..self.len() as i64).collect(), [self.len()])?;
        let data = Dataset::new([("row", rows), ("class", TensorData::from_vec(codes, [self.len()])?)])?;
        let (first, second) = data.stratified_split("class", fraction, seed)?;
        Ok((first.labels("row")?, second.labels("row")?))
    }

    pub(super) fn column(&self, column: &str) -> Result<&Column> {
        let position = self.position(column)?;
        self.columns.get(position).ok_or_else(|| Error::Argument(format!("there is no column '{column}'")))
    }

    /// The table with each column of categories replaced by one column of 0 and 1 for each label, named `column=label`;
    /// all but the column `except`, which is to be the target.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is no column `except`; [`Error::Data`] where a category is missing.
    pub fn one_hot(&self, except: &str) -> Result<Self> {
        let excepted = self.position(except)?;
        let mut columns = Vec::new();
        for (number, column) in self.columns.iter().enumerate() {
            match &column.values {
                Values::Categories { labels, .. } if number != excepted => {
                    let (codes, _) = column.classes()?;
                    columns.extend(labels.iter().enumerate().map(|(code, label)| Column {
                        name: format!("{}={label}", column.name),
                        values: Values::of_numbers(codes.iter().map(|&own| f64::from(u8::from(own == code)))),
                        remark: None,
                    }));
                }
                _ => columns.push(column.clone()),
            }
        }
        Ok(Self { columns, lines: self.lines.clone(), header: self.header })
    }

    /// A data set: `x`, f32 `[n, columns - 1]`, of all columns but the target (categories as their codes), and `y`.
    /// For classes it has their names. A column without any value is left out. Where features are to be scaled, or values are
    /// missing, or categories are no numbers, a [`Preparation`](super::Preparation) does more.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is no such column; [`Error::Data`] where there is no other, where values are missing, where
    /// a target that is to be a number has categories or one that is to be binary does not have two classes, and for numbers that f32
    /// cannot hold: beyond its range, or so near each other and so far from 0 that it does not tell them apart.
    pub fn dataset(&self, target: &str, kind: Target) -> Result<Dataset> {
        self.refuse_missing().map_err(Error::Data)?;
        let target = self.position(target)?;
        let (mut features, mut chosen) = (Vec::new(), None);
        for (number, column) in self.columns.iter().enumerate() {
            if number == target {
                chosen = Some(column);
            } else if !column.values.is_blank() {
                features.push(column.single_precision()?);
            }
        }
        let Some(chosen) = chosen.filter(|_| !features.is_empty()) else {
            return Err(Error::Data("the table has no column besides the target".into()));
        };
        let rows = self.len();
        let x: Vec<f32> =
            (0..rows).flat_map(|row| features.iter().filter_map(move |column| column.get(row).copied())).collect();
        let x = TensorData::from_vec(x, [rows, features.len()])?;

        let (codes, names) = chosen.classes()?;
        let y = match (kind, &chosen.values) {
            (Target::Classes, _) => TensorData::from_vec(codes.iter().map(|&code| code as i32).collect(), [rows])?,
            (Target::Binary, _) if names.len() == 2 => {
                TensorData::from_vec(codes.iter().map(|&code| code as f32).collect(), [rows, 1])?
            }
            (Target::Binary, _) => {
                return Err(Error::Data(format!(
                    "column '{}' has {}, and a binary target has 2",
                    chosen.name,
                    counted(names.len(), "different value")
                )));
            }
            (Target::Number, Values::Numbers { .. }) => TensorData::from_vec(chosen.single_precision()?, [rows, 1])?,
            (Target::Number, Values::Categories { .. }) => return Err(chosen.no_number()),
        };
        let data = Dataset::new([("x", x), ("y", y)])?;
        Ok(if kind == Target::Number { data } else { data.with_class_names(names) })
    }
}

/// A column by name, else by number: from 0, or from the end where negative.
pub(super) fn position(names: &[String], column: &str) -> Result<usize, String> {
    let named: Vec<usize> =
        (0..names.len()).filter(|&number| names.get(number).is_some_and(|name| name == column)).collect();
    match named.as_slice() {
        [] => {}
        [position] => return Ok(*position),
        several => {
            let numbers: Vec<String> = several.iter().map(usize::to_string).collect();
            return Err(format!("several columns are named '{column}', counted from 0: {}", numbers.join(", ")));
        }
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

    #[test]
    fn what_f32_cannot_tell_apart_is_refused() -> Result<()> {
        let seconds: String = (0..20).map(|row| format!("{},{}\n", 1_700_000_000 + row, row % 2)).collect();
        let table = Csv::new().from_bytes(format!("t,kind\n{seconds}").as_bytes(), "t")?;
        let message = table.dataset("kind", Target::Binary).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(message.starts_with("column 't': ") && message.contains("f32"), "{message}");
        assert!(table.dataset("t", Target::Number).is_err());
        let same = Csv::new().from_bytes(b"t,kind\n1700000000,1\n1700000000,2\n", "t")?;
        same.dataset("kind", Target::Binary)?;
        Ok(())
    }

    #[test]
    fn missing_values_are_counted_refused_or_dropped() -> Result<()> {
        let table = Csv::new().keep_missing().from_bytes(b"a,b,c,d\n1,x,,1\n?,,,2\n3,y,,3\n,y,,4\n", "t")?;
        assert_eq!(table.missing(), [("a", 2), ("b", 1)]);
        let complete = table.without_missing()?;
        assert_eq!((complete.len(), complete.line(1)), (2, 4));
        assert_eq!(complete.columns[0].values.numbers()?, [1.0, 3.0]);
        assert!(complete.columns[2].values.is_blank());
        assert_eq!(complete.dataset("d", Target::Number)?.column("x")?.shape().dims(), [2, 2]);
        let message = table.dataset("d", Target::Number).err().map(|error| error.to_string()).unwrap_or_default();
        let expected =
            "line 3, column 'a': the value is missing; in all 4 rows, missing are 2 in column 'a', 1 in column 'b'";
        assert!(message.starts_with(expected), "{message}");
        assert!(table.one_hot("d").is_err() && table.take(&[4]).is_err() && table.take(&[]).is_err());
        let nothing = Csv::new().keep_missing().from_bytes(b"a,b\n1,\n,2\n", "t")?;
        assert!(nothing.without_missing().is_err());
        Ok(())
    }

    #[test]
    fn rows_are_split_as_data_sets_are() -> Result<()> {
        let text: String = (0..50).map(|row| format!("{row},{}\n", ["a", "b", "b", "b", "b"][row % 5])).collect();
        let table = Csv::new().header(super::super::Header::Absent).from_bytes(text.as_bytes(), "t")?;
        let (train, test) = table.stratified_rows("1", 0.8, 7)?;
        let (own_train, own_test) = table.dataset("1", Target::Classes)?.stratified_split("y", 0.8, 7)?;
        for (rows, own) in [(train, own_train), (test, own_test)] {
            let values: Vec<f32> = rows.iter().map(|&row| row as f32).collect();
            assert_eq!(own.column("x")?.as_slice::<f32>()?, values);
        }
        let (train, test) = table.split_rows(0.9, 7)?;
        assert_eq!((train.len(), test.len()), (45, 5));
        Ok(())
    }
}
