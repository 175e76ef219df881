//! Graphs drawn at random: operators of every kind on small tensors, each of which always fits what is there.

use proptest::prelude::*;
use wgrad::ops::Order;
use wgrad::ops::keepdim;
use wgrad::prelude::*;
use wgrad::session::Outputs;

/// Largest tensor of a random graph: every further operator is one on small tensors.
const LARGEST: usize = 400;

/// What is drawn for one node: an operator, which earlier values it takes, and a detail.
pub type Draw = (u8, usize, usize, usize);

/// Values so far, and a way to build further ones that always fit.
pub struct Builder {
    pub g: Graph,
    pub values: Vec<Tensor>,
}

impl Builder {
    fn elementwise(&self, kind: u8, a: &Tensor, b: &Tensor) -> Tensor {
        match kind % 16 {
            0 => a.tanh(),
            1 => a.sin(),
            2 => a.sigmoid(),
            3 => a.relu(),
            4 => a.abs() + 0.25,
            5 => (a * 0.5).tanh().exp(),
            6 => a.gelu(),
            7 => a.maximum(-0.5).minimum(0.75),
            8 => a + b,
            9 => a - b,
            10 => a * b,
            11 => a / (b.square() + 1.0),
            12 => a.maximum(b),
            13 => a.gt(b).select(a, b),
            14 => a.cast(F32).cast(a.dtype()) * 1.0 + 0.0,
            _ => -a.softplus(),
        }
    }

    /// Reductions, movement, products, gathers, sorts.
    fn shaped(&self, kind: u8, a: &Tensor, b: &Tensor, detail: usize) -> Tensor {
        let shape = a.shape();
        let rank = shape.rank();
        if rank == 0 {
            return a.broadcast_to([1 + detail % 3, 2]);
        }
        let axis = detail % rank;
        let (signed, extent) = (axis as isize, shape[axis]);
        let index = |count: usize| {
            let indices: Vec<f64> = (0..count).map(|k| ((k * 7 + detail) % extent) as f64).collect();
            TensorData::from_f64(I32, &indices, [count]).unwrap()
        };
        match kind % 18 {
            0 => a.sum([signed]),
            1 => a.max(keepdim([signed])),
            2 => a.mean(keepdim([signed])),
            3 => a.log_sum_exp([signed]),
            4 => a.permute(&(0..rank).rev().collect::<Vec<_>>()),
            5 => a.flip(&[signed]),
            6 => a.slice(signed, detail % extent, extent),
            7 => a.pad_between(&vec![detail % 2; rank], &vec![1; rank], &vec![detail % 3; rank], 0.5),
            8 => a.reshape([shape.len()]),
            9 => a
                .unsqueeze(signed)
                .broadcast_to(shape[..axis].iter().chain(&[2]).chain(&shape[axis..]).copied().collect::<Shape>()),
            10 => self.g.concat(&[a, &a.tanh(), a], signed),
            11 => a.take(signed, &self.g.constant(index(3))),
            12 => a.softmax(signed),
            13 => a.cumulative_sum(signed),
            14 => a.sort(signed, if detail.is_multiple_of(2) { Order::Descending } else { Order::Ascending }).0,
            15 => a.index_add(signed, &self.g.constant(index(extent)), &(a * 0.5)),
            16 if rank >= 2 => a.matmul(&a.transpose(-1, -2)) * (1.0 / shape[rank - 1] as f64),
            16 => a.matmul(a) * (1.0 / extent as f64),
            // One row of another value's reshape, broadcast over this one: two chains meet.
            _ => a + b.reshape([b.shape().len()]).slice(0, 0, 1),
        }
    }

    /// Adds what is drawn, unless it would be empty or large.
    pub fn add(&mut self, (kind, a, b, detail): Draw, shapes: bool) {
        let count = self.values.len();
        // Later values are taken more often, so that chains grow long.
        let a = self.values[count - 1 - (a % count).min(a % 3)].clone();
        let b = self.values[b % count].clone();
        let next = if shapes && kind % 3 == 0 {
            self.shaped(kind / 3, &a, &b, detail)
        } else {
            let other = if a.shape().broadcast(&b.shape()).is_some() { b } else { b.mean_all() };
            self.elementwise(kind, &a, &other)
        };
        // An empty or large value leads nowhere.
        if !next.shape().is_empty() && next.shape().len() <= LARGEST {
            self.values.push(next);
        }
    }
}

/// The first value that differs by more than a bound, relative to the tensor's largest; all bits count where it is 0.
pub fn difference(a: &Outputs, b: &Outputs, bound: f64) -> Option<String> {
    a.iter().find_map(|(name, left)| {
        let right = b.get(name)?;
        if left.ty() != right.ty() {
            return Some(format!("{name}: {} and {}", left.ty(), right.ty()));
        }
        let (left, right) = (left.to_f64_vec(), right.to_f64_vec());
        let largest = left.iter().copied().filter(|x| x.is_finite()).fold(1.0, |top: f64, x| top.max(x.abs()));
        left.iter().zip(&right).enumerate().find_map(|(k, (x, y))| {
            let same = x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan()) || (x - y).abs() <= bound * largest;
            (!same).then(|| format!("{name}[{k}]: {x} and {y}"))
        })
    })
}

/// Up to `most` draws.
pub fn draws(most: usize) -> impl Strategy<Value = Vec<Draw>> {
    prop::collection::vec((any::<u8>(), 0_usize..50, 0_usize..50, 0_usize..50), 1..most)
}
