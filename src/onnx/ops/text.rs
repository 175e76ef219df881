//! Texts as counts of the n-grams in them.

use std::collections::HashMap;

use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::tensor::{DType, TensorData};

pub(super) const OPERATORS: &[(&str, Handler)] = &[("TfIdfVectorizer", vectorize)];

/// Distances between the elements of an n-gram that may be asked for: each takes nodes of the graph.
const MOST_DISTANCES: usize = 1 << 10;

/// The n-grams of one length, the column of the result that counts each, and their weights, where those are asked for.
struct Grams<'a> {
    length: usize,
    grams: Vec<&'a [i64]>,
    columns: Vec<i32>,
    weights: Option<Vec<f32>>,
}

/// The n-grams of the lengths that are asked for.
fn pool<'a>(node: &Node<'a>, columns: &[i64], weights: Option<&[f32]>) -> Result<Vec<Grams<'a>>> {
    if node.has_attribute("pool_strings") {
        return Err(node.error("n-grams of strings are not supported, only those of integers"));
    }
    let pool = node.ints("pool_int64s")?.unwrap_or_default();
    let starts = node.ints("ngram_counts")?.unwrap_or_default();
    let (least, most) = (node.int("min_gram_length", 1)?, node.int("max_gram_length", 1)?);
    if least < 1 || most < least {
        return Err(node.error(format!("n-grams of {least} to {most} elements do not exist")));
    }
    let mut columns = columns.iter().enumerate();
    let mut found = Vec::new();
    for (number, &start) in starts.iter().enumerate() {
        let length = number + 1;
        let end = starts.get(length).copied().unwrap_or(pool.len() as i64);
        let part = usize::try_from(start).ok().zip(usize::try_from(end).ok()).and_then(|(from, to)| pool.get(from..to));
        let Some(part) = part else {
            return Err(node.error(format!("ngram_counts {starts:?} do not fit a pool of {}", pool.len())));
        };
        if !part.len().is_multiple_of(length) {
            return Err(node.error(format!("{} numbers are no n-grams of {length}", part.len())));
        }
        // An n-gram that stands in the pool twice counts where it stands last.
        let mut known: HashMap<&[i64], (i32, f32)> = HashMap::new();
        for gram in part.chunks_exact(length) {
            let next = columns.next().and_then(|(number, &column)| Some((number, i32::try_from(column).ok()?)));
            let Some((number, column)) = next else {
                return Err(node.error("ngram_indexes should have a number for each n-gram"));
            };
            let weight = weights.map_or(Some(1.0), |weights| weights.get(number).copied());
            let Some(weight) = weight else {
                return Err(node.error("weights should have a number for each n-gram"));
            };
            known.insert(gram, (column, weight));
        }
        if (least..=most).contains(&(length as i64)) && !known.is_empty() {
            let mut known: Vec<(&[i64], (i32, f32))> = known.into_iter().collect();
            known.sort_unstable_by_key(|&(gram, _)| gram);
            let (grams, rest): (Vec<_>, Vec<(i32, f32)>) = known.into_iter().unzip();
            let (columns, values) = rest.into_iter().unzip();
            found.push(Grams { length, grams, columns, weights: weights.map(|_| values) });
        }
    }
    Ok(found)
}

impl Grams<'_> {
    /// How often each is found in rows `[n, length]`, as `[n, grams]`, with elements at these distances from one another.
    fn counts(&self, node: &Node<'_>, rows: &Tensor, extent: usize, distances: usize) -> Result<Option<Tensor>> {
        let mut parts: Vec<Tensor> = Vec::with_capacity(self.length);
        for position in 0..self.length {
            let values: Vec<i64> = self.grams.iter().filter_map(|gram| gram.get(position).copied()).collect();
            let values = TensorData::from_vec(values, [1, 1, self.grams.len()])?;
            parts.push(node.graph().constant(values).cast(rows.dtype()));
        }
        let mut total: Option<Tensor> = None;
        // Single elements have no distance, and are counted once.
        for distance in 1..=(if self.length == 1 { 1 } else { distances }) {
            let Some(starts) = extent.checked_sub(distance * (self.length - 1)).filter(|&starts| starts > 0) else {
                break;
            };
            let mut equal: Option<Tensor> = None;
            for (position, part) in parts.iter().enumerate() {
                let here = rows.slice(1, position * distance, position * distance + starts).unsqueeze(2).eq(part);
                equal = Some(match equal {
                    Some(earlier) => earlier.logical_and(here),
                    None => here,
                });
            }
            let Some(equal) = equal else { break };
            let count = equal.cast(DType::F32).sum([1]);
            total = Some(match total {
                Some(earlier) => earlier + count,
                None => count,
            });
        }
        Ok(total)
    }
}

fn vectorize(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let shape = x.shape();
    if !x.dtype().is_integer() {
        return Err(node.error(format!("takes integers, not {}", x.dtype())));
    }
    let (count, extent) = match *shape.dims() {
        [] => (1, 1),
        [extent] => (1, extent),
        [count, extent] => (count, extent),
        _ => return Err(node.error(format!("takes one or two dimensions, not {shape}"))),
    };
    let indexes = node.ints("ngram_indexes")?.unwrap_or_default();
    let width = match (indexes.iter().min(), indexes.iter().max()) {
        (Some(0..), Some(&most)) if most < i64::from(i32::MAX) => most as usize + 1,
        _ => return Err(node.error("ngram_indexes should name the columns of the result, from 0 on")),
    };
    let distances = usize::try_from(node.int("max_skip_count", 0)?).unwrap_or(usize::MAX).saturating_add(1);
    if distances > MOST_DISTANCES {
        return Err(node.error(format!("max_skip_count should be from 0 to {}", MOST_DISTANCES - 1)));
    }
    let (once, weighted) = match node.string("mode", "TF")? {
        "TF" => (false, false),
        "IDF" => (true, true),
        "TFIDF" => (false, true),
        other => return Err(node.error(format!("mode should be TF, IDF or TFIDF, not {other:?}"))),
    };
    let weights = node.floats("weights")?.filter(|weights| weighted && !weights.is_empty());
    let rows = x.cast(DType::I64).reshape([count, extent]);
    let whole = node.extents(&[count as i64, width as i64])?;
    let mut y = node.graph().scalar(DType::F32, 0.0).broadcast_to(&whole);
    for grams in pool(node, indexes, weights)? {
        let Some(mut counts) = grams.counts(node, &rows, extent, distances)? else { continue };
        if once {
            counts = counts.minimum(1.0);
        }
        if let Some(weights) = grams.weights {
            let count = weights.len();
            counts = counts * node.graph().constant(TensorData::from_vec(weights, [count])?);
        }
        let count = grams.columns.len();
        let columns = node.graph().constant(TensorData::from_vec(grams.columns, [count])?);
        y = y.index_add(1, &columns, &counts);
    }
    Ok(vec![if shape.rank() == 2 { y } else { y.reshape([width]) }.into()])
}
