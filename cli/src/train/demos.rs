//! The list of demos.

use super::demo::Demo;
use super::{char_lm, digits, folder, forecast, images, sentiment, spirals, tabular, translate, word2vec};
use crate::failure::{Failure, Result};

/// All demos, in the order in which help lists them.
pub const DEMOS: &[&Demo] = &[
    &digits::DIGITS,
    &images::MNIST,
    &images::FASHION,
    &folder::IMAGES,
    &tabular::TABULAR,
    &char_lm::CHAR_LM,
    &forecast::FORECAST,
    &sentiment::SENTIMENT,
    &word2vec::WORD2VEC,
    &translate::TRANSLATE,
    &spirals::DEMO,
];

/// The demo of a name.
pub fn find(name: &str) -> Result<&'static Demo> {
    let names = || DEMOS.iter().map(|demo| demo.name).collect::<Vec<_>>().join(", ");
    let found = DEMOS.iter().find(|demo| demo.name == name).copied();
    found.ok_or_else(|| Failure::new(format!("there is no demo {name:?}; there are {}", names())))
}
