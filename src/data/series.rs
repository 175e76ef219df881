//! Series of numbers in time, and the windows from which what comes next is learned.

use std::path::Path;

use super::{Csv, Dataset, Scaler, Values};
use crate::error::{Error, Result};
use crate::tensor::TensorData;

/// Equally spaced numbers, without gaps.
///
/// ```
/// use wgrad::data::Series;
/// let series = Series::new("sales", (0..100).map(f64::from).collect())?;
/// let parts = series.windows(12, 3, 0.8)?; // twelve values in, the next three out
/// assert_eq!(parts.train.column("x")?.shape().dims(), [66, 12, 1]);
/// assert_eq!(parts.test.column("y")?.shape().dims(), [18, 3]);
/// assert_eq!(parts.test.column("y")?.as_slice::<f32>()?[..3], [80.0, 81.0, 82.0]);
/// assert_eq!((parts.mean, parts.train_len), (39.5, 80));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    name: String,
    values: Vec<f64>,
}

/// A series as data sets of windows: `x` f32 `[windows, window, 1]`, and `y` f32 `[windows, horizon]`, the values that follow.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesWindows {
    /// Windows of the first part of the series.
    pub train: Dataset,
    /// Windows whose `y` lies in the rest; the first of them begin in the training part.
    pub test: Dataset,
    /// Number of values in the training part.
    pub train_len: usize,
    /// The mean of the training part.
    pub mean: f64,
    /// The standard deviation of the training part; 1 where it is constant.
    pub std: f64,
}

impl Series {
    /// A series of values, with a name for people.
    ///
    /// # Errors
    /// [`Error::Data`] for no values, and for one that is not a number or is beyond f32.
    pub fn new(name: impl Into<String>, values: Vec<f64>) -> Result<Self> {
        let name = name.into();
        if values.is_empty() {
            return Err(Error::Data(format!("the series '{name}' is empty")));
        }
        if let Some(place) = values.iter().position(|value| !(*value as f32).is_finite()) {
            let value = values.get(place).copied().unwrap_or_default();
            return Err(Error::Data(format!("value {} of the series '{name}' is {value}, not a number", place + 1)));
        }
        Ok(Self { name, values })
    }

    /// A column of a CSV file, by name or number; without one, the only column of numbers.
    ///
    /// # Errors
    /// As [`Csv::read`]: a gap and what is not a number come with their line. [`Error::Argument`] where there is no such column, or
    /// several have numbers and none is named.
    pub fn read_csv(path: impl AsRef<Path>, column: Option<&str>) -> Result<Self> {
        let path = path.as_ref();
        let mut csv = Csv::new();
        if let Some(column) = column {
            csv = csv.only([column]);
        }
        let table = csv.read(path)?;
        let numbers = table.columns.iter().filter_map(|column| match &column.values {
            Values::Numbers(numbers) => Some((column.name.clone(), numbers.clone())),
            Values::Categories { .. } => None,
        });
        let mut numbers: Vec<(String, Vec<f64>)> = numbers.collect();
        if numbers.len() > 1 {
            let names: Vec<&str> = numbers.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::Argument(format!(
                "{} has several columns of numbers, {}: one of them has to be named",
                path.display(),
                names.join(", ")
            )));
        }
        match numbers.pop() {
            Some((name, values)) => Self::new(name, values),
            None => {
                let what = column.map_or("it has no column of numbers".to_owned(), |column| {
                    format!("column '{column}' holds words, not numbers")
                });
                Err(Error::format(path, what))
            }
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The values.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// All windows of `window` values with the `horizon` values after each, in the order of time. The first `fraction` of the series
    /// is for training, and what the mean and standard deviation are taken from; the targets of the two parts do not overlap.
    ///
    /// # Errors
    /// [`Error::Argument`] for a window or horizon of 0, and a fraction outside 0 … 1; [`Error::Data`] for a series that is too short
    /// to give both parts a window.
    pub fn windows(&self, window: usize, horizon: usize, fraction: f64) -> Result<SeriesWindows> {
        if window == 0 || horizon == 0 {
            return Err(Error::Argument("a window and a horizon hold at least 1 value".into()));
        }
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(Error::Argument(format!("the training part is {fraction} of the series, not between 0 and 1")));
        }
        let count = self.values.len();
        let train_len = (count as f64 * fraction).round() as usize;
        let enough = window.checked_add(horizon).is_some_and(|whole| train_len >= whole);
        if !enough || count - train_len < horizon {
            return Err(Error::Data(format!(
                "the series '{}' has {count} values: too short for a window of {window} and a horizon of {horizon}, as {} \
                 are for training and {} for the test",
                self.name,
                train_len,
                count - train_len
            )));
        }
        let values: Vec<f32> = self.values.iter().map(|&value| value as f32).collect();
        let part = |starts: std::ops::RangeInclusive<usize>| -> Result<Dataset> {
            let (mut x, mut y) = (Vec::new(), Vec::new());
            let windows = starts.clone().count();
            for start in starts {
                let (before, after) = (start + window, start + window + horizon);
                x.extend_from_slice(values.get(start..before).unwrap_or_default());
                y.extend_from_slice(values.get(before..after).unwrap_or_default());
            }
            let x = TensorData::from_vec(x, [windows, window, 1])?;
            Dataset::new([("x", x), ("y", TensorData::from_vec(y, [windows, horizon])?)])
        };
        let known = values.get(..train_len).unwrap_or_default();
        let scaler = Scaler::standardize(&TensorData::from_slice(known, [train_len, 1])?)?;
        let first = |numbers: &[f64], otherwise: f64| numbers.first().copied().unwrap_or(otherwise);
        Ok(SeriesWindows {
            train: part(0..=train_len - window - horizon)?,
            test: part(train_len - window..=count - window - horizon)?,
            train_len,
            mean: first(scaler.offset(), 0.0),
            std: first(scaler.scale(), 1.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T>(result: Result<T>) -> String {
        result.err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn the_parts_share_no_target() -> Result<()> {
        let series = Series::new("s", (0..30).map(|value| f64::from(value * value)).collect())?;
        let parts = series.windows(5, 3, 0.7)?;
        let targets = |data: &Dataset| -> Result<Vec<f32>> { Ok(data.column("y")?.as_slice::<f32>()?.to_vec()) };
        assert!(targets(&parts.train)?.iter().all(|value| *value <= 400.0));
        assert!(targets(&parts.test)?.iter().all(|value| *value >= 441.0));
        assert_eq!((parts.train.len(), parts.test.len(), parts.train_len), (14, 7, 21));
        let x = parts.test.column("x")?.as_slice::<f32>()?;
        assert_eq!(x[..5], [256.0, 289.0, 324.0, 361.0, 400.0]);
        let shortest = Series::new("s", vec![1.0; 10])?.windows(6, 2, 0.8)?;
        assert_eq!((shortest.train.len(), shortest.test.len(), shortest.std), (1, 1, 1.0));
        Ok(())
    }

    #[test]
    fn mistakes_are_named() -> Result<()> {
        assert!(message(Series::new("s", vec![])).contains("empty"));
        assert!(message(Series::new("s", vec![1.0, f64::NAN])).contains("value 2"));
        assert!(message(Series::new("s", vec![1e300])).contains("value 1"));
        let series = Series::new("s", vec![1.0; 20])?;
        assert_eq!(
            message(series.windows(24, 12, 0.8)),
            "the series 's' has 20 values: too short for a window of 24 and a horizon of 12, as 16 are for training and 4 for the test"
        );
        assert!(series.windows(usize::MAX, 12, 0.8).is_err() && series.windows(0, 1, 0.8).is_err());
        assert!(series.windows(1, 5, 0.8).is_err() && series.windows(1, 1, 1.5).is_err());
        Ok(())
    }

    #[test]
    fn a_column_of_a_table_is_a_series() -> Result<()> {
        let directory = tempfile::tempdir().map_err(|error| Error::file("cannot create", "", error))?;
        let path = directory.path().join("t.csv");
        let write = |text: &str| std::fs::write(&path, text).map_err(|error| Error::file("cannot write", &path, error));
        write("month,a,b\nx,1,\ny,2,NA\nz,3,5\n")?;
        assert_eq!(Series::read_csv(&path, Some("a"))?.values(), [1.0, 2.0, 3.0]);
        assert!(message(Series::read_csv(&path, Some("b"))).contains("line 2, column 'b'"));
        assert!(message(Series::read_csv(&path, Some("month"))).contains("words"));
        assert!(message(Series::read_csv(&path, Some("c"))).contains("month, a, b"));
        write("month,a,b\nx,1,2\ny,2,3\n")?;
        assert!(message(Series::read_csv(&path, None)).contains("a, b"));
        write("month,a\nx,1\ny,2\n")?;
        assert_eq!(Series::read_csv(&path, None)?.name(), "a");
        write("month,a\nx,1\ny,two\n")?;
        assert!(message(Series::read_csv(&path, None)).contains("line 3"));
        write("a,b\nx,y\nz,w\n")?;
        assert!(message(Series::read_csv(&path, None)).contains("no column of numbers"));
        Ok(())
    }
}
