//! What demos take that translate.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::Own;
use crate::failure::{Failure, Result};
use crate::train::canvas;
use crate::train::demo::Demo;

/// What is to be translated, and how.
#[derive(Args, Clone, Debug, Default)]
pub struct Translating {
    /// The language that is translated into English [default: de]
    #[arg(long, value_name = "LANGUAGE", value_parser = PossibleValuesParser::new(["de", "fr"]))]
    pub from: Option<String>,
    /// Draw which words of a sentence its translation's words attend to
    #[arg(long, value_name = "FILE.png")]
    pub attention: Option<PathBuf>,
    #[command(flatten)]
    pub searching: Searching,
}

/// How a translation is looked for.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Searching {
    /// Translations that are followed side by side, of which the likeliest is taken; 1 takes the likeliest word each time [default: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=64))]
    pub beam: Option<u64>,
}

impl Translating {
    /// Finds before a run what would keep it from being drawn, or has no meaning.
    pub fn check(&self, demo: &Demo) -> Result {
        let given = [("from", self.from.is_some()), ("attention", self.attention.is_some())];
        if let Some((option, _)) = given.iter().find(|(_, given)| *given && demo.own != Own::Translating) {
            return Err(Failure::new(format!("--{option} is for translations, and {} makes none", demo.name)));
        }
        self.searching.check(demo)?;
        match &self.attention {
            Some(path) => canvas::check_name(path, "pictures", &["png"]),
            None => Ok(()),
        }
    }
}

impl Searching {
    /// Refuses what has no meaning for a demo.
    pub fn check(self, demo: &Demo) -> Result {
        match self.beam {
            Some(_) if demo.own != Own::Translating => {
                Err(Failure::new(format!("--beam is for translations, and {} makes none", demo.name)))
            }
            _ => Ok(()),
        }
    }
}
