//! Attention by itself.

use super::{Case, Input, with_gradients};
use crate::ops::{AttentionOptions, Score};
use crate::tensor::DType;

/// Batch, heads, length and head size: of a small language model's layer.
const SIZES: [usize; 4] = [8, 8, 512, 64];

pub(super) fn cases() -> Vec<Case> {
    [("", Score::plain()), ("/causal", Score::causal())]
        .into_iter()
        .flat_map(|(mask, score)| of(mask, &score))
        .collect()
}

fn of(mask: &str, score: &Score) -> [Case; 2] {
    let [batch, heads, length, size] = SIZES;
    let name = format!("attention/f32/n{batch}h{heads}t{length}d{size}{mask}");
    let inputs = || [(); 4].map(|()| Input::uniform(DType::F32, SIZES));
    let [first, second] =
        [score, score].map(|score| AttentionOptions { score: score.clone(), ..AttentionOptions::default() });
    [
        Case::kernel(format!("{name}/forward"), inputs(), move |x| {
            vec![x[0].scaled_dot_product_attention(&x[1], &x[2], &first)]
        }),
        Case::kernel(format!("{name}/forward_backward"), inputs(), move |x| {
            let y = x[0].scaled_dot_product_attention(&x[1], &x[2], &second);
            with_gradients(&y, &x[3], &[&x[0], &x[1], &x[2]])
        }),
    ]
}
