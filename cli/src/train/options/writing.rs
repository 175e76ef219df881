//! What demos take that write texts.

use clap::Args;

use super::Own;
use crate::failure::{Failure, Result};
use crate::train::demo::Demo;

/// What is to be written.
#[derive(Args, Clone, Debug, Default)]
pub struct Writing {
    /// How freely a text is written: 0 always takes the likeliest character, 1 draws as the model believes [default: 0.8]
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = temperature)]
    pub temperature: Option<f64>,
    /// Draw among the likeliest characters only
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..))]
    pub top_k: Option<u64>,
    /// What a written text begins with
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// Characters to be written at the end [default: 500]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub length: Option<u64>,
}

impl Writing {
    /// True where the user says anything of a text to be written.
    pub const fn is_asked_for(&self) -> bool {
        self.temperature.is_some() || self.top_k.is_some() || self.prompt.is_some() || self.length.is_some()
    }

    /// Refuses what has no meaning for a demo.
    pub fn check(&self, demo: &Demo) -> Result {
        let given = [
            ("temperature", self.temperature.is_some()),
            ("top-k", self.top_k.is_some()),
            ("prompt", self.prompt.is_some()),
            ("length", self.length.is_some()),
        ];
        match given.iter().find(|(_, given)| *given && demo.own != Own::Writing) {
            Some((option, _)) => {
                Err(Failure::new(format!("--{option} is for texts that are written, and {} writes none", demo.name)))
            }
            None => Ok(()),
        }
    }
}

fn temperature(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err("a temperature is a number of at least 0".to_owned()),
    }
}
