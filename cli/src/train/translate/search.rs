//! Looks for translations, of many sentences side by side: the likeliest word each time, or a beam of the likeliest beginnings.
//!
//! A program encodes the sentences and keeps what the decoder needs of them; another one is run for each word, with the keys and values of the
//! words before in a cache.

use std::cell::RefCell;
use std::collections::BTreeMap;

use wgrad::data::WordVocabulary;
use wgrad::graph::Graph;
use wgrad::nn::{CachePosition, KeyValueCache};
use wgrad::session::{Program, Session};
use wgrad::tensor::{DType, TensorData};

use super::beam::Beam;
use super::network::Translator;
use super::rows::{BEGIN, END, LENGTH};
use crate::failure::Result;

/// Beginnings of translations that a program follows: few sentences, and many.
const FEW: usize = 16;
const MANY: usize = 192;

/// Words that a translation may have more than its source.
const LONGER: usize = 16;

/// Tokens that a translation does not have.
const NEVER: [i32; 3] = [WordVocabulary::PADDING, WordVocabulary::UNKNOWN, BEGIN.1];

/// The programs' inputs and outputs.
const SOURCE: &str = "source";
const LENGTHS: &str = "lengths";
const TOKENS: &str = "tokens";
const POSITION: &str = "position";
const PARENTS: &str = "parents";
const SCORES: &str = "scores";
const BEST: &str = "best";

/// What a pair of programs is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    sentences: usize,
    beam: usize,
    /// Tokens of a source, with the one at its end.
    source: usize,
    /// Tokens of a translation, likewise.
    target: usize,
}

impl Shape {
    /// For sentences of which the longest has so many tokens: one of few shapes, so that few programs are made.
    fn of(count: usize, longest: usize, beam: usize) -> Self {
        let rows = if count * beam <= FEW { FEW } else { MANY };
        let source = longest.next_power_of_two().clamp(FEW, LENGTH);
        Self { sentences: (rows / beam).max(1), beam, source, target: (source + LONGER).min(LENGTH) }
    }

    const fn rows(self) -> usize {
        self.sentences * self.beam
    }

    /// The variables of other shapes are others.
    fn cache(self, g: &Graph) -> KeyValueCache {
        let name = format!("translations/{}x{}x{}x{}", self.sentences, self.beam, self.source, self.target);
        let position = g.input(POSITION, [1], DType::I32);
        let cache = KeyValueCache::new(g, &name, self.rows(), self.target, &position);
        if self.beam == 1 { cache } else { cache.reordered(&g.input(PARENTS, [self.rows()], DType::I32)) }
    }
}

#[derive(Clone)]
struct Programs {
    encode: Program,
    step: Program,
}

/// A search with the programs that it has made.
pub struct Search {
    translator: Translator,
    programs: RefCell<BTreeMap<Shape, Programs>>,
}

impl Search {
    pub const fn new(translator: Translator) -> Self {
        Self { translator, programs: RefCell::new(BTreeMap::new()) }
    }

    fn programs(&self, session: &mut Session, shape: Shape) -> Result<Programs> {
        if let Some(programs) = self.programs.borrow().get(&shape) {
            return Ok(programs.clone());
        }
        let (translator, rows) = (&self.translator, shape.rows());
        let g = Graph::new();
        let source = g.input(SOURCE, [shape.sentences, shape.source], DType::I32);
        let lengths = g.input(LENGTHS, [shape.sentences], DType::I32);
        let memory = translator.encode(&g, &source, &lengths);
        // A sentence's beginnings follow each other, and each has its memory.
        let of_each = memory
            .unsqueeze(1)
            .broadcast_to([shape.sentences, shape.beam, shape.source, translator.sizes.width])
            .reshape([rows, shape.source, translator.sizes.width]);
        translator.remember(&g, &of_each, &shape.cache(&g));
        let encode = session.load(&g)?;

        let g = Graph::new();
        let tokens = g.input(TOKENS, [rows, 1], DType::I32);
        let lengths = g.input(LENGTHS, [rows], DType::I32);
        let logits = translator.step(&tokens, &shape.cache(&g), (shape.source, &lengths));
        let never: Vec<f32> = (0..translator.target_words as i32)
            .map(|token| if NEVER.contains(&token) { f32::NEG_INFINITY } else { 0.0 })
            .collect();
        let logits = logits + g.constant(TensorData::from_vec(never, [translator.target_words])?);
        if shape.beam == 1 {
            g.output(BEST, &logits.argmax(1));
        } else {
            g.output(SCORES, &logits.log_softmax(1));
        }
        let programs = Programs { encode, step: session.load(&g)? };
        self.programs.borrow_mut().insert(shape, programs.clone());
        Ok(programs)
    }

    /// The tokens of translations, without the one at the end, of sources with it.
    pub fn translate(&self, session: &mut Session, sources: &[Vec<i32>], beam: usize) -> Result<Vec<Vec<i32>>> {
        // Sentences of like length together.
        let mut order: Vec<usize> = (0..sources.len()).collect();
        order.sort_by_key(|&index| sources[index].len());
        let mut found = vec![Vec::new(); sources.len()];
        let mut rest = order.as_slice();
        while let Some(&first) = rest.first() {
            // As many as a program takes of those that are at hand; the last of them is the longest.
            let at_most = rest.len().min((MANY / beam).max(1));
            let longest = rest.get(at_most - 1).map_or(sources[first].len(), |&index| sources[index].len());
            let shape = Shape::of(at_most, longest, beam);
            let (some, others) = rest.split_at(at_most.min(shape.sentences));
            let batch: Vec<&[i32]> = some.iter().map(|&index| sources[index].as_slice()).collect();
            for (&index, tokens) in some.iter().zip(self.batch(session, shape, &batch)?) {
                found[index] = tokens;
            }
            rest = others;
        }
        Ok(found)
    }

    fn batch(&self, session: &mut Session, shape: Shape, sources: &[&[i32]]) -> Result<Vec<Vec<i32>>> {
        let Programs { encode, step } = self.programs(session, shape)?;
        let rows = shape.rows();
        let (mut tokens, mut lengths) = (Vec::with_capacity(shape.sentences * shape.source), Vec::new());
        for index in 0..shape.sentences {
            // Where there are fewer sentences, the others are of no words.
            let own = sources.get(index).copied().unwrap_or(&[END.1]);
            tokens.extend_from_slice(own);
            tokens.resize((index + 1) * shape.source, WordVocabulary::PADDING);
            lengths.push(own.len() as i32);
        }
        let each: Vec<i32> = lengths.iter().flat_map(|&length| std::iter::repeat_n(length, shape.beam)).collect();
        let source = TensorData::from_vec(tokens, [shape.sentences, shape.source])?;
        let lengths = TensorData::from_vec(lengths, [shape.sentences])?;
        let mut inputs = vec![(SOURCE, &source), (LENGTHS, &lengths)];
        // What is not needed to encode is an input all the same, of the cache.
        let (nowhere, themselves) = (TensorData::zeros(DType::I32, [1]), TensorData::zeros(DType::I32, [rows]));
        inputs.push((POSITION, &nowhere));
        if shape.beam > 1 {
            inputs.push((PARENTS, &themselves));
        }
        session.using(&encode).run(&inputs)?;

        let lengths = TensorData::from_vec(each, [rows])?;
        let mut beams: Vec<Beam> = (0..sources.len()).map(|_| Beam::new(shape.beam)).collect();
        let mut position = CachePosition::new(1, shape.target);
        let (mut next, mut parents) = (vec![BEGIN.1; rows], (0..rows as i32).collect::<Vec<_>>());
        while position.filled() < shape.target && beams.iter().any(|beam| !beam.is_done()) {
            let tokens = TensorData::from_vec(next.clone(), [rows, 1])?;
            let order = TensorData::from_vec(parents.clone(), [rows])?;
            let at = position.advance(1)?;
            let mut inputs = vec![(TOKENS, &tokens), (POSITION, &at), (LENGTHS, &lengths)];
            if shape.beam > 1 {
                inputs.push((PARENTS, &order));
            }
            let outputs = session.using(&step).run(&inputs)?;
            if let Some(best) = outputs.get(BEST) {
                let best = best.as_slice::<i32>()?;
                for ((beam, &token), next) in beams.iter_mut().zip(best).zip(&mut next) {
                    beam.follow(token);
                    *next = token;
                }
                continue;
            }
            let scores = outputs.get(SCORES).map_or(Ok(&[][..]), TensorData::as_slice::<f32>)?;
            let words = self.translator.target_words;
            for (index, beam) in beams.iter_mut().enumerate() {
                let first = index * shape.beam;
                let own = scores.get(first * words..(first + shape.beam) * words).unwrap_or_default();
                for (slot, (parent, token)) in beam.grow(own, words).into_iter().enumerate() {
                    parents[first + slot] = (first + parent) as i32;
                    next[first + slot] = token;
                }
            }
        }
        Ok(beams.into_iter().map(Beam::best).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_shapes_serve_all_batches() {
        let shape = Shape::of(5, 64, 64);
        assert_eq!((shape.sentences, shape.source, shape.target), (3, 64, 64));
        assert_eq!(Shape::of(1, 3, 64).rows(), 192);
        assert_eq!(Shape::of(3, 17, 4), Shape { sentences: 4, beam: 4, source: 32, target: 48 });
    }
}
