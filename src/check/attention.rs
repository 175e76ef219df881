//! Attention to check: one of each size and odd ones, heads that share keys, and scores of all kinds. Where whole blocks may be hidden, no
//! value is NaN or infinite: such a one reaches the other queries of its block, and kernels have blocks of different sizes.

use super::Family;
use super::input::Input;
use crate::graph::Tensor;
use crate::ops::{AttentionOptions, Score};

/// Sums of products, of a softmax of such.
const ATTENTION: f64 = 5e-5;

/// Batch, heads, key heads, queries, keys, head size, value size.
type Row = [usize; 7];

const PLAIN: &[Row] = &[
    [1, 1, 1, 1, 1, 1, 1],
    [2, 4, 2, 5, 7, 3, 6],
    [1, 3, 1, 40, 150, 8, 16],
    [1, 1, 1, 3, 9, 80, 33],
    [1, 1, 1, 3, 9, 140, 256],
];

const MASKED: &[Row] = &[[2, 2, 1, 17, 17, 8, 8], [1, 2, 2, 6, 30, 5, 3]];

/// In several blocks of every kernel.
const LONG: &[Row] = &[[1, 2, 1, 130, 150, 12, 12], [2, 1, 1, 70, 200, 36, 70]];

fn inputs([batch, heads, key_heads, queries, keys, size, value_size]: Row) -> Vec<Input> {
    vec![
        Input::normal(&[batch, heads, queries, size]),
        Input::normal(&[batch, key_heads, keys, size]),
        Input::normal(&[batch, key_heads, keys, value_size]),
    ]
}

fn scored(name: &str, score: &Score, rows: &[Row]) -> Family {
    rows.iter().fold(Family::new(format!("attention/{name}"), ATTENTION), |family, &row| {
        let score = score.clone();
        family.case(inputs(row), move |inputs: &[Tensor]| {
            let options = AttentionOptions { score: score.clone(), ..AttentionOptions::default() };
            inputs[0].scaled_dot_product_attention(&inputs[1], &inputs[2], &options)
        })
    })
}

pub(super) fn families() -> Vec<Family> {
    let lengths = MASKED.iter().fold(Family::new("attention/lengths", ATTENTION), |family, &row| {
        let mut all = inputs(row);
        all.push(Input::integers(&[row[0]], 1, row[4] as i64 + 1));
        family.extremes(&[]).case(all, |inputs: &[Tensor]| {
            let options = AttentionOptions { lengths: Some(&inputs[3]), ..AttentionOptions::default() };
            inputs[0].scaled_dot_product_attention(&inputs[1], &inputs[2], &options)
        })
    });
    let bias = MASKED.iter().fold(Family::new("attention/bias", ATTENTION), |family, &row| {
        let mut all = inputs(row);
        all.push(Input::normal(&[row[1], row[3], row[4]]));
        family.case(all, |inputs: &[Tensor]| {
            let options = AttentionOptions { bias: Some(&inputs[3]), ..AttentionOptions::default() };
            inputs[0].scaled_dot_product_attention(&inputs[1], &inputs[2], &options)
        })
    });
    // Documents of different lengths in one row.
    let documents = LONG.iter().fold(Family::new("attention/documents", ATTENTION), |family, &row| {
        let [batch, _, _, queries, keys, ..] = row;
        let mut all = inputs(row);
        all.extend([queries, keys].map(|length| Input::integers(&[batch, length], 0, 3)));
        family.extremes(&[]).case(all, |inputs: &[Tensor]| {
            let [of_queries, of_keys] = [3, 4].map(|index| inputs[index].cumulative_sum(1));
            let [batch, queries] = [0, 1].map(|axis| of_queries.shape()[axis]);
            let keys = of_keys.shape()[1];
            let buffers = [&of_queries.reshape([batch, 1, queries, 1]), &of_keys.reshape([batch, 1, 1, keys])];
            let options =
                AttentionOptions { score: Score::documents(), buffers: &buffers, ..AttentionOptions::default() };
            inputs[0].scaled_dot_product_attention(&inputs[1], &inputs[2], &options)
        })
    });
    // Heads as views of rows that have all of them.
    let views = LONG.iter().fold(Family::new("attention/views", ATTENTION), |family, &row| {
        let [batch, heads, key_heads, queries, keys, size, value_size] = row;
        let all = vec![
            Input::normal(&[batch, queries, heads, size]),
            Input::normal(&[batch, keys, key_heads, size]),
            Input::normal(&[batch, keys, key_heads, value_size]),
        ];
        family.extremes(&[]).case(all, |inputs: &[Tensor]| {
            let [q, k, v] = [0, 1, 2].map(|index| inputs[index].transpose(1, 2));
            let options = AttentionOptions { score: Score::causal(), ..AttentionOptions::default() };
            q.scaled_dot_product_attention(&k, &v, &options).transpose(1, 2)
        })
    });
    vec![
        documents,
        views,
        scored("long", &Score::causal_from(20), LONG).extremes(&[]),
        scored("plain", &Score::plain(), PLAIN),
        scored("causal", &Score::causal(), MASKED).extremes(&[]),
        scored("window_soft_cap", &Score::window(3, 2).and(&Score::soft_cap(1.5)), MASKED).extremes(&[]),
        lengths,
        bias,
    ]
}
