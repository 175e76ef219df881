//! The beginnings of a sentence's translation that a search follows, and those that have ended.

use super::rows::{END, LENGTH};

/// By which power of the length a sum of logarithms is divided (Wu et al. 2016), so that long translations stand a chance.
const LENGTH_PENALTY: f64 = 0.6;

/// The beginning of a translation.
#[derive(Clone, Debug, PartialEq)]
struct Hypothesis {
    tokens: Vec<i32>,
    /// The sum of logarithms of probabilities.
    sum: f64,
}

impl Hypothesis {
    /// The sum by the length, with the token at the end.
    fn score(&self, length: usize) -> f64 {
        self.sum / ((5.0 + length as f64) / 6.0).powf(LENGTH_PENALTY)
    }
}

/// The beginnings of a sentence's translation that are followed, the best first; and the best translation that has ended.
#[derive(Clone, Debug)]
pub struct Beam {
    width: usize,
    live: Vec<Hypothesis>,
    ended: Vec<(f64, Hypothesis)>,
}

impl Beam {
    pub fn new(width: usize) -> Self {
        Self { width, live: vec![Hypothesis { tokens: Vec::new(), sum: 0.0 }], ended: Vec::new() }
    }

    pub fn is_done(&self) -> bool {
        self.live.is_empty()
    }

    /// The one beginning goes on with a token.
    pub fn follow(&mut self, token: i32) {
        let Some(mut hypothesis) = self.live.pop() else { return };
        if token == END.1 {
            self.ended.push((0.0, hypothesis));
        } else {
            hypothesis.tokens.push(token);
            self.live.push(hypothesis);
        }
    }

    /// Goes on with the likeliest tokens, by the logarithms of probabilities of each beginning's next one. For each new beginning, the
    /// number of the one that it comes from and its token.
    pub fn grow(&mut self, scores: &[f32], words: usize) -> Vec<(usize, i32)> {
        // Of twice as many, at least the width has not ended.
        let mut candidates = Vec::new();
        for (parent, (hypothesis, scores)) in self.live.iter().zip(scores.chunks_exact(words)).enumerate() {
            for (token, score) in likeliest(scores, 2 * self.width) {
                candidates.push((hypothesis.sum + f64::from(score), parent, token));
            }
        }
        candidates.sort_by(|(a, first, x), (b, second, y)| b.total_cmp(a).then(first.cmp(second)).then(x.cmp(y)));
        candidates.truncate(2 * self.width);
        let (mut live, mut origins) = (Vec::new(), Vec::new());
        for (rank, (sum, parent, token)) in candidates.into_iter().enumerate() {
            let mut hypothesis = Hypothesis { tokens: self.live[parent].tokens.clone(), sum };
            if token == END.1 as usize {
                if rank < self.width {
                    let score = hypothesis.score(hypothesis.tokens.len() + 1);
                    self.ended.push((score, hypothesis));
                }
            } else if live.len() < self.width {
                hypothesis.tokens.push(token as i32);
                live.push(hypothesis);
                origins.push((parent, token as i32));
            }
        }
        self.live = live;
        // What could still become better than what has ended is followed; a sum only falls.
        let best = self.ended.iter().map(|(score, _)| *score).fold(f64::NEG_INFINITY, f64::max);
        let hope = self.live.first().map_or(f64::NEG_INFINITY, |hypothesis| hypothesis.score(LENGTH));
        if self.ended.len() >= self.width && best >= hope {
            self.live.clear();
        }
        origins
    }

    /// The best that has ended, or else the best beginning.
    pub fn best(self) -> Vec<i32> {
        // The first of equals.
        let mut ended = self.ended.into_iter();
        let first = ended.next();
        let best = ended.fold(first, |best, other| match best {
            Some(known) if known.0 >= other.0 || other.0.is_nan() => Some(known),
            _ => Some(other),
        });
        let best = best.map(|(_, hypothesis)| hypothesis).or_else(|| self.live.into_iter().next());
        best.map(|hypothesis| hypothesis.tokens).unwrap_or_default()
    }
}

/// The `count` largest, the largest first and the first of equals before others. NaN and −∞ are none of them.
fn likeliest(scores: &[f32], count: usize) -> Vec<(usize, f32)> {
    let mut best: Vec<(usize, f32)> = Vec::with_capacity(count + 1);
    for (index, &score) in scores.iter().enumerate() {
        let is_better = best.len() < count || best.last().is_some_and(|&(_, least)| score > least);
        if is_better && score > f32::NEG_INFINITY {
            let place = best.partition_point(|&(_, other)| other >= score);
            best.insert(place, (index, score));
            best.truncate(count);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_are_in_order() {
        let scores = [-3.0, f32::NAN, -1.0, -2.0, -1.0, f32::NEG_INFINITY];
        assert_eq!(likeliest(&scores, 3), [(2, -1.0), (4, -1.0), (3, -2.0)]);
        assert_eq!(likeliest(&scores, 9).len(), 4);
        assert!(likeliest(&[f32::NAN], 2).is_empty());
    }

    /// Words whose probabilities are given for each beginning; a beam finds what the likeliest first word hides.
    #[test]
    fn a_beam_finds_more_than_the_likeliest_word() {
        const WORDS: usize = 7;
        let [a, b] = [4, 5];
        let row = |tokens: &[i32]| {
            let mut row = [f32::NEG_INFINITY; WORDS];
            let mut set = |token: i32, probability: f32| row[token as usize] = probability.ln();
            match tokens {
                [] => {
                    set(a, 0.6);
                    set(b, 0.4);
                }
                [4] => {
                    set(a, 0.3);
                    set(b, 0.3);
                    set(END.1, 0.4);
                }
                [5] => {
                    set(a, 0.05);
                    set(END.1, 0.95);
                }
                _ => set(END.1, 1.0),
            }
            row
        };
        let search = |width: usize| {
            let mut beam = Beam::new(width);
            for _ in 0..10 {
                let scores: Vec<f32> = beam.live.iter().flat_map(|hypothesis| row(&hypothesis.tokens)).collect();
                if beam.is_done() {
                    break;
                }
                let _ = beam.grow(&scores, WORDS);
            }
            assert!(beam.is_done() || width > 2, "{beam:?}");
            beam.best()
        };
        assert_eq!(search(1), [a]);
        assert_eq!(search(2), [b]);
        assert_eq!(search(5), [b]);
    }

    #[test]
    fn a_model_that_knows_nothing_gives_no_words() {
        let mut beam = Beam::new(2);
        assert!(beam.grow(&[f32::NAN; 8], 8).is_empty());
        assert!(beam.is_done() && beam.best().is_empty());
    }
}
