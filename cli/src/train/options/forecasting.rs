//! What demos take that foretell a series.

use std::path::PathBuf;

use clap::Args;

use super::Own;
use crate::failure::{Failure, Result};
use crate::train::canvas;
use crate::train::demo::Demo;

/// What is to be foretold.
#[derive(Args, Clone, Debug, Default)]
pub struct Forecasting {
    /// Values of a series that the model sees [default: 36], or words on either side of a word [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub window: Option<u64>,
    /// Values after them that it foretells [default: 12]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub horizon: Option<u64>,
    /// Values in a season of the series, to be compared with the same season before
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub season: Option<u64>,
    /// Draw forecasts of the test part beside what came
    #[arg(long, value_name = "FILE.png")]
    pub forecast: Option<PathBuf>,
}

impl Forecasting {
    /// Window and horizon.
    pub const fn sizes(&mut self) -> (&mut Option<u64>, &mut Option<u64>) {
        (&mut self.window, &mut self.horizon)
    }

    /// Finds before a run what would keep it from being drawn, or has no meaning.
    pub fn check(&self, demo: &Demo) -> Result {
        let given = [
            ("window", self.window.is_some()),
            ("horizon", self.horizon.is_some()),
            ("season", self.season.is_some()),
            ("forecast", self.forecast.is_some()),
        ];
        // Words have a window, too.
        let has = |option: &str| match demo.own {
            Own::Forecasting => true,
            Own::Vectors => option == "window",
            Own::None | Own::Writing | Own::Tables | Own::Translating => false,
        };
        if let Some((option, _)) = given.iter().find(|(option, given)| *given && !has(option)) {
            return Err(Failure::new(format!("--{option} is for series, and {} has none", demo.name)));
        }
        match &self.forecast {
            Some(path) => canvas::check_name(path, "pictures", &["png"]),
            None => Ok(()),
        }
    }
}
