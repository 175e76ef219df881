//! Sentences as numbers, several to a row: rows of one length have little padding, and a program sees always the same shape.
//!
//! A row has three planes, each of the sources and then of the targets: tokens, their positions in their sentences, and the number of the
//! sentence, by which attention tells them apart.

use wgrad::data::{Dataset, WordVocabulary};
use wgrad::tensor::TensorData;

use super::super::tokens::IGNORED;
use crate::failure::Result;

/// Tokens on either side of a row, and the longest sentence with the token at its end.
pub const LENGTH: usize = 64;

/// Planes of a row.
pub const PLANES: usize = 3;

/// Rows that are looked at for a place before another one is begun.
const OPEN: usize = 32;

pub const BEGIN: (&str, i32) = ("<bos>", 2);
pub const END: (&str, i32) = ("<eos>", 3);

/// The words of both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Languages {
    pub source: WordVocabulary,
    pub target: WordVocabulary,
}

impl Languages {
    /// A source's tokens, with the one at its end. A longer sentence loses its end.
    pub fn source(&self, text: &str) -> Vec<i32> {
        ended(self.source.encode(text))
    }

    /// A translation's tokens, likewise.
    pub fn target(&self, text: &str) -> Vec<i32> {
        ended(self.target.encode(text))
    }
}

fn ended(mut tokens: Vec<i32>) -> Vec<i32> {
    tokens.truncate(LENGTH - 1);
    tokens.push(END.1);
    tokens
}

/// A row that is being filled.
#[derive(Clone, Debug)]
struct Row {
    planes: [[Vec<i32>; 2]; PLANES],
    labels: Vec<i32>,
    sentences: i32,
}

impl Row {
    fn new() -> Self {
        Self { planes: Default::default(), labels: Vec::new(), sentences: 0 }
    }

    fn has_room(&self, source: &[i32], target: &[i32]) -> bool {
        let [[sources, targets], ..] = &self.planes;
        sources.len() + source.len() <= LENGTH && targets.len() + target.len() <= LENGTH
    }

    /// Tokens with those at their ends.
    fn add(&mut self, source: &[i32], target: &[i32]) {
        self.sentences += 1;
        // A decoder reads what is before the token that it is to tell.
        let read: Vec<i32> = std::iter::once(BEGIN.1).chain(target.iter().copied()).take(target.len()).collect();
        let [tokens, positions, sentences] = &mut self.planes;
        for (side, given) in [source, &read].into_iter().enumerate() {
            tokens[side].extend(given);
            positions[side].extend(0..given.len() as i32);
            sentences[side].extend(std::iter::repeat_n(self.sentences, given.len()));
        }
        self.labels.extend(target);
    }

    /// Filled up. Padding of targets counts as more of the last sentence, which sees all of it and is seen by none of it; padding of
    /// sources is a sentence of its own.
    fn finish(mut self, x: &mut Vec<i32>, y: &mut Vec<i32>) {
        for (plane, sides) in self.planes.iter_mut().enumerate() {
            for (side, values) in sides.iter_mut().enumerate() {
                let sentence = if side == 0 { 0 } else { self.sentences };
                values.resize(LENGTH, [WordVocabulary::PADDING, 0, sentence][plane]);
                x.append(values);
            }
        }
        self.labels.resize(LENGTH, IGNORED);
        y.append(&mut self.labels);
    }
}

/// Rows `x` `[rows, 3, 2 · LENGTH]` and the tokens that are to be told, `y` `[rows, LENGTH]`, of pairs of tokens with those at their ends,
/// none of which is longer than a row.
pub fn packed(pairs: &[(Vec<i32>, Vec<i32>)]) -> Result<Dataset> {
    let (mut x, mut y) = (Vec::new(), Vec::new());
    let mut open: Vec<Row> = Vec::new();
    for (source, target) in pairs {
        let index = open.iter().position(|row| row.has_room(source, target)).unwrap_or_else(|| {
            if open.len() == OPEN {
                open.remove(0).finish(&mut x, &mut y);
            }
            open.push(Row::new());
            open.len() - 1
        });
        if let Some(row) = open.get_mut(index) {
            row.add(source, target);
        }
    }
    open.into_iter().for_each(|row| row.finish(&mut x, &mut y));
    let rows = y.len() / LENGTH;
    let x = TensorData::from_vec(x, [rows, PLANES, 2 * LENGTH])?;
    Ok(Dataset::new([("x", x), ("y", TensorData::from_vec(y, [rows, LENGTH])?)])?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn every_sentence_is_in_a_row_once() {
        let pairs: Vec<(Vec<i32>, Vec<i32>)> = (0..200_usize)
            .map(|number| {
                let tokens = |length: usize| (0..length as i32).map(|token| 4 + token + number as i32).collect();
                (ended(tokens(1 + number * 7 % 30)), ended(tokens(1 + number * 11 % 25)))
            })
            .collect();
        let data = packed(&pairs).unwrap();
        let (x, y) =
            (data.column("x").unwrap().to_vec::<i32>().unwrap(), data.column("y").unwrap().to_vec::<i32>().unwrap());
        let mut found = Vec::new();
        for (row, labels) in x.chunks_exact(PLANES * 2 * LENGTH).zip(y.chunks_exact(LENGTH)) {
            let [tokens, positions, sentences] = [0, 1, 2].map(|plane| &row[plane * 2 * LENGTH..][..2 * LENGTH]);
            for sentence in 1..=sentences[LENGTH..].iter().copied().max().unwrap() {
                let of = |side: usize| {
                    let here = side * LENGTH..(side + 1) * LENGTH;
                    let own: Vec<usize> = here.filter(|&index| sentences[index] == sentence).collect();
                    own.iter().zip(0..).for_each(|(&index, position)| {
                        assert!(positions[index] == position || tokens[index] == WordVocabulary::PADDING);
                    });
                    own
                };
                let source: Vec<i32> = of(0).into_iter().map(|index| tokens[index]).collect();
                let read: Vec<usize> =
                    of(1).into_iter().filter(|&index| tokens[index] != WordVocabulary::PADDING).collect();
                let target: Vec<i32> = read.iter().map(|&index| labels[index - LENGTH]).collect();
                assert_eq!(tokens[read[0]], BEGIN.1);
                assert!(read[1..].iter().zip(&target).all(|(&index, &before)| tokens[index] == before));
                found.push((source, target));
            }
        }
        let (mut expected, full) = (pairs.clone(), y.iter().filter(|&&label| label != IGNORED).count());
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        assert!(full * 10 > y.len() * 7, "{full} of {}", y.len());
    }

    #[test]
    fn long_sentences_are_cut() {
        let tokens = ended((0..200).collect());
        assert_eq!((tokens.len(), tokens.last()), (LENGTH, Some(&END.1)));
    }
}
