//! Series of numbers in time, and the windows from which what comes next is learned.

use std::path::Path;

use super::spread::Spread;
use super::{Csv, Dataset, Values};
use crate::error::{Error, Result, counted};
use crate::tensor::TensorData;

/// Values up to here have squares that can be added up.
const LARGEST: f64 = 1e150;

/// Equally spaced numbers, without gaps.
///
/// ```
/// use wgrad::data::Series;
/// let series = Series::new("sales", (0..100).map(f64::from).collect())?;
/// let parts = series.windows(12, 3, 0.8)?; // twelve values in, the next three out
/// assert_eq!(parts.train.column("x")?.shape().dims(), [66, 12, 1]);
/// assert_eq!(parts.test.column("y")?.shape().dims(), [18, 3]);
/// assert_eq!((parts.mean, parts.train_len), (39.5, 80));
/// let y = parts.test.column("y")?.to_f64_vec(); // standardized: minus the mean, over the standard deviation
/// let values: Vec<i64> = y[..3].iter().map(|&value| parts.restored(value).round() as i64).collect();
/// assert_eq!(values, [80, 81, 82]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    name: String,
    values: Vec<f64>,
    dates: Option<Vec<f64>>,
}

/// A series as data sets of windows: `x` f32 `[windows, window, 1]`, and `y` f32 `[windows, horizon]`, the values that follow. Both are
/// standardized: minus the training part's mean, over its standard deviation. That is done in f64, as f32 would lose what happens
/// to values that are large and change little; [`restored`](Self::restored) is the way back to the series' own unit.
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

impl SeriesWindows {
    /// A standardized value, such as a forecast, in the series' own unit.
    pub fn restored(&self, standardized: f64) -> f64 {
        standardized * self.std + self.mean
    }
}

impl Series {
    /// A series of values, with a name for people.
    ///
    /// # Errors
    /// [`Error::Data`] for no values, and for one that is not a number or whose square is beyond f64.
    pub fn new(name: impl Into<String>, values: Vec<f64>) -> Result<Self> {
        let name = name.into();
        if values.is_empty() {
            return Err(Error::Data(format!("the series '{name}' is empty")));
        }
        if let Some((place, value)) =
            values.iter().enumerate().find(|(_, value)| value.is_nan() || value.abs() > LARGEST)
        {
            let problem = if value.is_finite() { "too large: its square is beyond f64" } else { "not a number" };
            return Err(Error::Data(format!("value {} of the series '{name}' is {value:e}, {problem}", place + 1)));
        }
        Ok(Self { name, values, dates: None })
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
        let mut numbers = Vec::new();
        for own in table.columns.iter().filter(|own| column.is_some() || own.is_measured()) {
            if let Values::Numbers { .. } = own.values {
                numbers.push((own.name.clone(), own.values.numbers()?));
            }
        }
        if numbers.len() > 1 {
            let names: Vec<&str> = numbers.iter().map(|(name, _): &(String, Vec<f64>)| name.as_str()).collect();
            return Err(Error::Argument(format!(
                "{} has several columns of numbers, {}: one of them has to be named",
                path.display(),
                names.join(", ")
            )));
        }
        match numbers.pop() {
            Some((name, values)) => {
                let series = Self::new(name, values)?;
                let dates = dates(path).filter(|dates| dates.len() == series.values.len());
                Ok(Self { dates, ..series })
            }
            None => {
                let what = column.map_or("it has no column of numbers".to_owned(), |column| {
                    format!("column '{column}' holds words, not numbers")
                });
                Err(Error::format(path, what))
            }
        }
    }

    /// When each value was, in seconds since 1970, where the file has a column of dates.
    pub fn dates(&self) -> Option<&[f64]> {
        self.dates.as_deref()
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
                "the series '{}' has {}: too short for a window of {window} and a horizon of {horizon}, as {} \
                 are for training and {} for the test",
                self.name,
                counted(count, "value"),
                train_len,
                count - train_len
            )));
        }
        let spread = Spread::of(self.values.iter().take(train_len).copied());
        let (mean, std) = (spread.mean, spread.scale());
        let standardized: Vec<f64> = self.values.iter().map(|value| (value - mean) / std).collect();
        if let Some(place) = standardized.iter().position(|value| !(*value as f32).is_finite()) {
            return Err(Error::Data(format!(
                "value {} of the series '{}' is so far from its training part that f32 cannot hold it: {:e} standard deviations",
                place + 1,
                self.name,
                standardized.get(place).copied().unwrap_or_default()
            )));
        }
        let values: Vec<f32> = standardized.iter().map(|&value| value as f32).collect();
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
        Ok(SeriesWindows {
            train: part(0..=train_len - window - horizon)?,
            test: part(train_len - window..=count - window - horizon)?,
            train_len,
            mean,
            std,
        })
    }
}

/// The first column of dates of a file without a gap, if it has one. Nothing is learned from it, so what is wrong with the rest is no matter.
fn dates(path: &Path) -> Option<Vec<f64>> {
    let table = Csv::new().keep_missing().read(path).ok()?;
    let is_dates = |values: &Values| matches!(values, Values::Numbers { format, .. } if format.is_date());
    table.columns.iter().filter(|column| is_dates(&column.values)).find_map(|column| column.values.numbers().ok())
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
        let restored = |column: &TensorData| -> Vec<f64> {
            column.to_f64_vec().into_iter().map(|value| parts.restored(value).round()).collect()
        };
        let targets = |data: &Dataset| -> Result<Vec<f64>> { Ok(restored(data.column("y")?)) };
        assert!(targets(&parts.train)?.iter().all(|value| *value <= 400.0));
        assert!(targets(&parts.test)?.iter().all(|value| *value >= 441.0));
        assert_eq!((parts.train.len(), parts.test.len(), parts.train_len), (14, 7, 21));
        let x = restored(parts.test.column("x")?);
        assert_eq!(x[..5], [256.0, 289.0, 324.0, 361.0, 400.0]);
        let shortest = Series::new("s", vec![1.0; 10])?.windows(6, 2, 0.8)?;
        assert_eq!((shortest.train.len(), shortest.test.len(), shortest.std), (1, 1, 1.0));
        Ok(())
    }

    #[test]
    fn mistakes_are_named() -> Result<()> {
        assert!(message(Series::new("s", vec![])).contains("empty"));
        assert!(message(Series::new("s", vec![1.0, f64::NAN])).contains("value 2"));
        assert!(message(Series::new("s", vec![1e300])).contains("value 1 of the series 's' is 1e300, too large"));
        let far = Series::new("s", (0..10).map(|step| if step < 9 { f64::from(step) } else { 1e140 }).collect())?;
        assert!(message(far.windows(2, 1, 0.8)).contains("value 10"));
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
    fn a_large_offset_changes_nothing() -> Result<()> {
        let wave = |offset: f64| (0..200).map(|step| offset + (f64::from(step) / 5.0).sin()).collect::<Vec<f64>>();
        let near = Series::new("s", wave(0.0))?.windows(24, 6, 0.8)?;
        for offset in [1e4, 1e6, 1e8, 1.7e9, -1e10] {
            let far = Series::new("s", wave(offset))?.windows(24, 6, 0.8)?;
            approx::assert_relative_eq!(far.std, near.std, max_relative = 1e-5);
            for (part, other) in [(&far.train, &near.train), (&far.test, &near.test)] {
                for column in ["x", "y"] {
                    let values = part.column(column)?.to_f64_vec().into_iter().zip(other.column(column)?.to_f64_vec());
                    // What f64 itself cannot hold of the sine at that offset.
                    values.for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{offset}: {a} {b}"));
                }
            }
            approx::assert_relative_eq!(far.restored(0.0), far.mean);
        }
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
        write(",when,a\n0,2020-01,\"1,5\"\n1,2020-02,\"2,25\"\n")?;
        assert_eq!(Series::read_csv(&path, None)?.values(), [1.5, 2.25]);
        // A column of dates says when, whichever column is asked for.
        let dates: &[f64] = &[1_577_836_800.0, 1_580_515_200.0];
        for column in [None, Some("a")] {
            assert_eq!(Series::read_csv(&path, column)?.dates(), Some(dates), "{column:?}");
        }
        write("month,a,b\nx,1,2\ny,2,3\n")?;
        assert!(message(Series::read_csv(&path, None)).contains("a, b"));
        write("month,a\nx,1\ny,2\n")?;
        assert_eq!((Series::read_csv(&path, None)?.name(), Series::read_csv(&path, None)?.dates()), ("a", None));
        write("month,a\nx,1\ny,two\n")?;
        assert!(message(Series::read_csv(&path, None)).contains("line 3"));
        write("a,b\nx,y\nz,w\n")?;
        assert!(message(Series::read_csv(&path, None)).contains("no column of numbers"));
        Ok(())
    }
}
