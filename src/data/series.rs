//! Series of numbers in time, and the windows from which what comes next is learned.

use std::path::Path;

use super::date::written;
use super::single_precision::{keeps_differences, single};
use super::spread::{Spread, standardized};
use super::{Csv, Dataset, Table, Values};
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
    /// The line of each value in its file; none where there was no file.
    lines: Vec<usize>,
    remarks: Vec<String>,
}

/// A series as data sets of windows: `x` f32 `[windows, window, 1]`, and `y` f32 `[windows, horizon]`, the values that follow. Both
/// are standardized: minus the training part's mean, over its standard deviation. That is done in f64, as f32 would lose what
/// happens to values that are large and change little; [`restored`](Self::restored) converts back to the series' own unit.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesWindows {
    /// Windows of the first part of the series.
    pub train: Dataset,
    /// Windows whose `y` is in the rest; the first of them begin in the training part.
    pub test: Dataset,
    /// Number of values in the training part.
    pub train_len: usize,
    /// The mean of the training part.
    pub mean: f64,
    /// The standard deviation of the training part; 1 where it is constant.
    pub std: f64,
    /// Whether all values of the training part are the same, or too near each other for f64 to tell: nothing is learned from them.
    pub is_constant: bool,
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
        if let Some((index, value)) =
            values.iter().enumerate().find(|(_, value)| value.is_nan() || value.abs() > LARGEST)
        {
            let problem = if value.is_finite() { "too large: its square is beyond f64" } else { "not a number" };
            return Err(Error::Data(format!("value {} of the series '{name}' is {value:e}, {problem}", index + 1)));
        }
        Ok(Self { name, values, dates: None, lines: Vec::new(), remarks: Vec::new() })
    }

    /// A column of a CSV file, by name or number; without one, the only column of numbers. Where the file has a column of dates,
    /// they say in which order the values are: a file that begins with the latest is reversed, and gaps are counted
    /// ([`remarks`](Self::remarks)).
    ///
    /// # Errors
    /// As [`Csv::read`], with the line: a value or a date that is missing, and what is not a number. [`Error::Format`] with the
    /// line where dates are not in order, or one is there twice. [`Error::Argument`] where there is no such column, or several have
    /// numbers and none is named.
    pub fn read_csv(path: impl AsRef<Path>, column: Option<&str>) -> Result<Self> {
        let path = path.as_ref();
        let mut csv = Csv::new().keep_missing();
        if let Some(column) = column {
            csv = csv.only([column]);
        }
        let table = csv.read(path)?;
        let is_number = |values: &Values| matches!(values, Values::Numbers { .. }) && !values.is_blank();
        let found: Vec<_> = table
            .columns
            .iter()
            .filter(|own| (column.is_some() || own.is_measured()) && is_number(&own.values))
            .collect();
        let own = match found.as_slice() {
            [own] => own,
            [] => {
                let what = column.map_or("it has no column of numbers".to_owned(), |column| {
                    format!("column '{column}' holds words, not numbers")
                });
                return Err(Error::format(path, what));
            }
            several => {
                let names: Vec<&str> = several.iter().map(|own| own.name.as_str()).collect();
                return Err(Error::Argument(format!(
                    "{} has several columns of numbers, {}: one of them has to be named",
                    path.display(),
                    names.join(", ")
                )));
            }
        };
        let lacking = own.values.missing();
        if let Some(row) = (0..table.len()).find(|&row| !own.values.has(row)) {
            let more = if lacking > 1 { format!(", and so are {} more", lacking - 1) } else { String::new() };
            let what = "a series has to be whole: fill the gaps in the file";
            let message =
                format!("line {}, column '{}': the value is missing{more}; {what}", table.line(row), own.name);
            return Err(Error::format(path, message));
        }
        let mut series = Self::new(own.name.clone(), own.values.numbers()?)?;
        series.lines = (0..table.len()).map(|row| table.line(row)).collect();
        let with_dates = Csv::new().keep_missing().read(path).ok().filter(|whole| whole.len() == series.values.len());
        match with_dates {
            Some(whole) => series.with_dates(&whole).map_err(|message| Error::format(path, message)),
            None => Ok(series),
        }
    }

    /// With the dates of the first of a table's columns of dates that rise or fall, else of the first of them.
    fn with_dates(mut self, table: &Table) -> Result<Self, String> {
        let is_dates = |values: &Values| matches!(values, Values::Numbers { format, .. } if format.is_date());
        let columns = || table.columns.iter().filter(|column| is_dates(&column.values) && !column.values.is_blank());
        let is_monotonic = |dates: &[f64]| {
            dates.is_sorted_by(|left, right| left < right) || dates.is_sorted_by(|left, right| left > right)
        };
        let in_order = columns().find(|column| column.values.numbers().is_ok_and(|dates| is_monotonic(&dates)));
        let Some(column) = in_order.or_else(|| columns().next()) else { return Ok(self) };
        if let Some(row) = (0..table.len()).find(|&row| !column.values.has(row)) {
            return Err(format!("line {}, column '{}': the date is missing", table.line(row), column.name));
        }
        let mut dates = column.values.numbers().map_err(|error| error.to_string())?;
        let pairs = || dates.windows(2).filter_map(|pair| Some((*pair.first()?, *pair.last()?)));
        // Shuffled dates fall as often as they rise.
        let falls = 4 * pairs().filter(|(left, right)| right < left).count() > 3 * pairs().count();
        let wrong = pairs().enumerate().find(|(_, (left, right))| if falls { right >= left } else { right <= left });
        if let Some((row, (left, right))) = wrong {
            let (line, before) = (table.line(row + 1), table.line(row));
            let at = format!("line {line}, column '{}': {}", column.name, written(right));
            let order = if falls { "before" } else { "after" };
            return Err(if left == right {
                format!("{at} is in line {before} already; a series has one value for each time")
            } else {
                format!(
                    "{at} does not come {order} {}, in line {before}; sort the file by '{}'",
                    written(left),
                    column.name
                )
            });
        }
        if falls {
            dates.reverse();
            self.values.reverse();
            self.lines.reverse();
            self.remarks.push(format!(
                "'{}' falls from line to line: the series is read from the last line to the first",
                column.name
            ));
        }
        self.remarks.extend(gaps(&dates, &self.lines));
        self.dates = Some(dates);
        Ok(self)
    }

    /// What people should know of how it was read: that it was reversed, and gaps in its dates.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The values minus a mean, over a deviation, such as those of the series that a model was trained on.
    ///
    /// # Errors
    /// [`Error::Data`] where f32 cannot compute with a value, or cannot tell the values apart, as they are too far from the mean.
    pub fn standardized(&self, mean: f64, std: f64) -> Result<Vec<f32>> {
        self.standardized_from(0, mean, std)
    }

    /// The same, where the first values are known to be near the mean.
    fn standardized_from(&self, known: usize, mean: f64, std: f64) -> Result<Vec<f32>> {
        let values: Vec<f64> = self.values.iter().map(|&value| standardized(value, mean, std)).collect();
        let name = &self.name;
        let mut found = Vec::new();
        for (index, (&own, &value)) in values.iter().zip(&self.values).enumerate() {
            found.push(single(own, value).map_err(|message| {
                let at =
                    self.lines.get(index).map_or_else(|| format!("value {}", index + 1), |line| format!("line {line}"));
                Error::Data(format!("{at} of the series '{name}': {message}"))
            })?);
        }
        keeps_differences(values.get(known..).unwrap_or_default())
            .map_err(|message| Error::Data(format!("the series '{name}': {message}")))?;
        Ok(found)
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

    /// All windows of `window` values with the `horizon` values after each, in the order of time. The first `fraction` of the
    /// series is for training, and what the mean and standard deviation are taken from; the targets of the two parts do not
    /// overlap.
    ///
    /// # Errors
    /// [`Error::Argument`] for a window or horizon of 0, and a fraction outside 0 … 1; [`Error::Data`] for a series that is too
    /// short to give both parts a window.
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
        let values = self.standardized_from(train_len, mean, std)?;
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
            is_constant: spread.is_constant(),
        })
    }
}

/// What is to be told of dates that rise, but not always by about as much.
fn gaps(dates: &[f64], lines: &[usize]) -> Option<String> {
    const DAY: f64 = 86_400.0;
    let mut steps: Vec<f64> = dates.windows(2).filter_map(|pair| Some(pair.last()? - pair.first()?)).collect();
    let between = steps.clone();
    steps.sort_by(f64::total_cmp);
    let usual = steps.get(steps.len() / 2).copied()?;
    // 1970 began on a Thursday. Where nothing is ever from a weekend, none is a gap.
    let weekday = |date: &f64| (date / DAY).floor().rem_euclid(7.0) as u8;
    let works_days = usual == DAY && !dates.iter().any(|date| matches!(weekday(date), 2 | 3));
    let is_gap = |index: usize, step: f64| {
        let weekend = works_days && dates.get(index).is_some_and(|date| weekday(date) == 1);
        // Months and years differ in length.
        step > 1.5 * usual && !(weekend && step <= 3.0 * DAY)
    };
    let mut found = between.iter().enumerate().filter(|(index, step)| is_gap(*index, **step)).map(|(index, _)| index);
    let first = found.next()?;
    let count = found.count() + 1;
    let (from, to) = (dates.get(first).copied().map(written)?, dates.get(first + 1).copied().map(written)?);
    let at = lines.get(first + 1).map_or_else(String::new, |line| format!(" (line {line})"));
    let rest = if count == 1 { String::new() } else { ", the first".to_owned() };
    let noun = if count == 1 { "gap" } else { "gaps" };
    Some(format!("{count} {noun} in the dates{rest} between {from} and {to}{at}; values are taken for equally spaced"))
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
    fn dates_say_the_order() -> Result<()> {
        let directory = tempfile::tempdir().map_err(|error| Error::file("cannot create", "", error))?;
        let path = directory.path().join("t.csv");
        let read = |rows: &str| -> Result<Series> {
            std::fs::write(&path, format!("date,v\n{rows}"))
                .map_err(|error| Error::file("cannot write", &path, error))?;
            Series::read_csv(&path, None)
        };
        let rising = read("2020-01-01,1\n2020-01-02,2\n2020-01-03,4\n")?;
        assert!(rising.remarks().is_empty());
        let falling = read("2020-01-03,4\n2020-01-02,2\n2020-01-01,1\n")?;
        assert_eq!((falling.values(), falling.dates()), (rising.values(), rising.dates()));
        assert!(falling.remarks()[0].contains("from the last line to the first"));
        for (rows, expected) in [
            (
                "2020-01-01,1\n2020-01-03,2\n2020-01-02,3\n2020-01-04,3\n",
                "line 4, column 'date': 2020-01-02 does not come after 2020-01-03, in line 3; sort",
            ),
            ("2020-01-01,1\n2020-01-02,2\n2020-01-02,3\n", "line 4, column 'date': 2020-01-02 is in line 3 already"),
            ("2020-01-01,1\n,2\n2020-01-02,3\n", "line 3, column 'date': the date is missing"),
            (
                "2020-01-01,1\n2020-01-02,\n2020-01-03,3\n",
                "line 3, column 'v': the value is missing; a series has to be whole",
            ),
        ] {
            let found = message(read(rows));
            assert!(found.contains(expected) && !found.contains("--missing"), "{found}");
        }
        let gap = read("2020-01-01,1\n2020-01-02,2\n2020-01-03,3\n2020-03-01,4\n")?;
        assert!(
            gap.remarks()[0].starts_with("1 gap in the dates between 2020-01-03 and 2020-03-01 (line 5)"),
            "{gap:?}"
        );
        // Months and weekends are none.
        assert!(read("2020-01-31,1\n2020-02-29,2\n2020-03-31,3\n2020-04-30,3\n")?.remarks().is_empty());
        let week = ["2020-01-02,1", "2020-01-03,2", "2020-01-06,3", "2020-01-07,4", "2020-01-08,5", ""].join("\n");
        assert!(read(&week)?.remarks().is_empty());
        Ok(())
    }

    #[test]
    fn any_scale_is_learned_and_what_is_too_far_is_refused() -> Result<()> {
        let wave = |scale: f64, offset: f64| -> Vec<f64> {
            (0..100).map(|step| offset + scale * (f64::from(step) / 5.0).sin()).collect()
        };
        let near = Series::new("s", wave(1.0, 0.0))?.windows(12, 2, 0.8)?;
        for scale in [1e-300, 1e-170, 1e-45, 1e45, 1e149] {
            let far = Series::new("s", wave(scale, 0.0))?.windows(12, 2, 0.8)?;
            assert!(!far.is_constant);
            let pairs = far.train.column("x")?.to_f64_vec().into_iter().zip(near.train.column("x")?.to_f64_vec());
            pairs.for_each(|(a, b)| assert!((a - b).abs() < 1e-6, "{scale}: {a} {b}"));
        }
        assert!(!Series::new("s", wave(1e3, 1e18))?.windows(12, 2, 0.8)?.is_constant);
        assert!(Series::new("s", vec![5.0; 100])?.windows(12, 2, 0.8)?.is_constant);
        assert!(Series::new("s", wave(1.0, 1e4))?.standardized(near.mean, near.std).is_ok());
        let blurred = message(Series::new("s", wave(1.0, 1e8))?.standardized(near.mean, near.std));
        assert!(blurred.contains("the series 's': its values are 1.4e8 standard deviations"), "{blurred}");
        let far = message(Series::new("s", wave(1e30, 0.0))?.standardized(near.mean, near.std));
        assert!(far.contains("value 2 of the series 's': 1.98"), "{far}");
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
