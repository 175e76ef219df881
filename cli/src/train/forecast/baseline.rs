//! Errors of forecasts, and forecasts of those who know nothing.

/// Mean errors by how far ahead a forecast was.
#[derive(Clone, Debug)]
pub struct Errors {
    squared: Vec<f64>,
    absolute: Vec<f64>,
}

impl Errors {
    /// From the error of each window at each step ahead.
    pub fn of(windows: usize, horizon: usize, error: impl Fn(usize, usize) -> f64) -> Self {
        let mean = |ahead: usize, measure: fn(f64) -> f64| {
            (0..windows).map(|window| measure(error(window, ahead))).sum::<f64>() / windows.max(1) as f64
        };
        Self {
            squared: (0..horizon).map(|ahead| mean(ahead, |error| error * error)).collect(),
            absolute: (0..horizon).map(|ahead| mean(ahead, f64::abs)).collect(),
        }
    }

    /// The mean squared error.
    pub fn mse(&self) -> f64 {
        self.squared.iter().sum::<f64>() / self.squared.len().max(1) as f64
    }

    /// The mean absolute error.
    pub fn mae(&self) -> f64 {
        self.absolute.iter().sum::<f64>() / self.absolute.len().max(1) as f64
    }

    /// The root of the mean squared error at each step ahead.
    pub fn root_by_step(&self) -> Vec<f64> {
        self.squared.iter().map(|error| error.sqrt()).collect()
    }
}

/// The latest index of the same part of a season that is known at `now`, the index of the first value ahead.
pub const fn season_before(now: usize, ahead: usize, season: usize) -> usize {
    let seasons = ahead / season + 1;
    (now + ahead).saturating_sub(seasons * season)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_means_over_windows_and_steps() {
        let errors = Errors::of(2, 2, |window, ahead| [[1.0, -3.0], [1.0, 5.0]][window][ahead]);
        assert_eq!((errors.mse(), errors.mae()), (9.0, 2.5));
        assert_eq!(errors.root_by_step(), [1.0, 17.0_f64.sqrt()]);
    }

    #[test]
    fn a_season_before_is_always_known() {
        assert_eq!(season_before(100, 0, 12), 88);
        assert_eq!(season_before(100, 11, 12), 99);
        assert_eq!(season_before(100, 12, 12), 88);
        for ahead in 0..40 {
            assert!(
                season_before(100, ahead, 7) < 100 && (100 + ahead - season_before(100, ahead, 7)).is_multiple_of(7)
            );
        }
    }
}
