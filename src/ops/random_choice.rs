//! Random indices with given probabilities, by Walker's alias method: two random words and two loads an element, however many indices
//! there are, so that drawing is an expression and fuses into what reads it.

use std::sync::Arc;

use super::Op;
use super::random::words_of;
use crate::graph::{Graph, Tensor};
use crate::tensor::{DType, Shape, TensorData};

/// 2³², of which thresholds are parts.
const WHOLE: f64 = 4_294_967_296.0;

/// The most indices: the remainder of a random word by their number must be nearly uniform, and an i32.
const MOST: usize = 1 << 24;

/// Walker's tables: an index stays where a random word is below its threshold, and else becomes its alias.
struct Alias {
    thresholds: Vec<u32>,
    aliases: Vec<i32>,
}

impl Alias {
    /// Vose's construction ("A linear algorithm for generating random numbers with a given distribution", 1991).
    fn new(weights: &[f64], total: f64) -> Self {
        let count = weights.len();
        // Shares of an index's column; 1 on average.
        let mut shares: Vec<f64> = weights.iter().map(|weight| weight / total * count as f64).collect();
        let mut aliases: Vec<i32> = (0..count as i32).collect();
        let mut thresholds = vec![u32::MAX; count];
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..count).partition(|&index| shares[index] < 1.0);
        while let Some(&more) = large.last()
            && let Some(less) = small.pop()
        {
            thresholds[less] = (shares[less] * WHOLE) as u32;
            aliases[less] = more as i32;
            // In this order nothing is lost to rounding (Vose).
            shares[more] = (shares[more] + shares[less]) - 1.0;
            if shares[more] < 1.0 {
                large.pop();
                small.push(more);
            }
        }
        // What is left has a share of 1, but for rounding, and is its own alias; an index of weight 0 never is among it: it is small from
        // the beginning, and there is a large one as long as the small ones lack anything.
        for index in small {
            if weights[index] == 0.0 {
                thresholds[index] = 0;
                aliases[index] = largest(weights) as i32;
            }
        }
        Self { thresholds, aliases }
    }
}

/// The index of the largest weight.
fn largest(weights: &[f64]) -> usize {
    (0..weights.len()).fold(0, |best, index| if weights[index] > weights[best] { index } else { best })
}

impl Graph {
    /// Random indices, i32, drawn anew at each step, index k with a probability in proportion to `weights[k]`: NumPy's `choice` with `p`,
    /// PyTorch's `multinomial` with replacement. As [`random_bits`](Self::random_bits), they are the same on every device and after a resume.
    /// Probabilities are right to 2⁻³² times the number of indices. An index of weight 0 is never drawn.
    ///
    /// There are 1 to 2²⁴ weights, which are finite and not negative, and not all 0; anything else is a mistake.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let drawn = g.random_choice([10_000], &[1.0, 0.0, 3.0]);
    /// g.output("share", &drawn.eq(2).cast(F32).mean_all());
    /// g.output("never", &drawn.eq(1).cast(F32).sum_all());
    /// let run = g.compile(&Device::cpu())?.run(&[])?;
    /// assert!((run["share"].item()? - 0.75).abs() < 0.02);
    /// assert_eq!(run["never"].item()?, 0.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn random_choice(&self, shape: impl Into<Shape>, weights: &[f64]) -> Tensor {
        let shape = shape.into();
        if weights.is_empty() || weights.len() > MOST {
            return self.mistake("random_choice", format!("takes 1 to {MOST} weights, not {}", weights.len()));
        }
        if let Some(index) = weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
            let message = format!("weight {index} is {}, and weights are finite and not negative", weights[index]);
            return self.mistake("random_choice", message);
        }
        // Of the largest, so that the sum of very large weights is finite.
        let top = weights[largest(weights)];
        if top == 0.0 {
            return self.mistake("random_choice", "all weights are 0, so there is nothing to draw");
        }
        let weights: Vec<f64> = weights.iter().map(|weight| weight / top).collect();
        let Alias { thresholds, aliases } = Alias::new(&weights, weights.iter().sum());
        let count = weights.len();
        let (state, stream) = self.random_stream();
        let [first, second] = words_of(&state, stream, &shape);
        let index = (first % count as f64).cast(DType::I32);
        let thresholds = self.table(thresholds, count);
        let stays = second.lt(thresholds.take(0, &index));
        stays.select(&index, self.table(aliases, count).take(0, &index))
    }

    #[track_caller]
    fn table<T: crate::tensor::Element>(&self, values: Vec<T>, count: usize) -> Tensor {
        match TensorData::from_vec(values, [count]) {
            Ok(data) => self.apply1(Op::Constant(Arc::new(data)), &[]),
            Err(error) => self.mistake("random_choice", error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The probabilities that tables stand for.
    fn probabilities(alias: &Alias) -> Vec<f64> {
        let count = alias.thresholds.len();
        let mut found = vec![0.0; count];
        for index in 0..count {
            let stays = f64::from(alias.thresholds[index]) / WHOLE;
            found[index] += stays / count as f64;
            found[alias.aliases[index] as usize] += (1.0 - stays) / count as f64;
        }
        found
    }

    #[test]
    fn tables_have_the_probabilities_of_their_weights() {
        let zipf: Vec<f64> = (1..10_000).map(|rank| f64::from(rank).powf(-0.75)).collect();
        let steep: Vec<f64> = (0..60).map(|k| 0.5_f64.powi(k)).collect();
        let holes: Vec<f64> = (0..101).map(|k| f64::from(k % 3)).collect();
        for weights in [vec![1.0], vec![1.0; 7], vec![0.0, 1.0, 0.0], zipf, steep, holes] {
            let total: f64 = weights.iter().sum();
            let found = probabilities(&Alias::new(&weights, total));
            for (index, (found, weight)) in found.iter().zip(&weights).enumerate() {
                let wanted = weight / total;
                assert!((found - wanted).abs() < 1e-9, "{index} of {}: {found}, and not {wanted}", weights.len());
                assert!(*weight > 0.0 || *found == 0.0, "{index} of {} has no weight", weights.len());
            }
        }
    }
}
