//! Elementwise work, movement, tables, and recurrences by themselves.

use super::{Case, Input, with_gradients};
use crate::nn::{Dropout, Mode};
use crate::ops::{Cell, RecurrentOptions};
use crate::tensor::DType;

/// 16M elements: beyond every cache.
const LONG: usize = 16 << 20;

/// Words of a table, their width, and how many are looked up.
const TABLE: [usize; 3] = [10_000, 128, 8192];

fn floats(shape: &[usize]) -> Input {
    Input::uniform(DType::F32, shape)
}

pub(super) fn cases() -> Vec<Case> {
    let [words, width, looked_up] = TABLE;
    let mut cases = vec![
        Case::kernel("add_relu/f32/16M", [floats(&[LONG]), floats(&[LONG])], |x| vec![(&x[0] + &x[1]).relu()]),
        Case::kernel("gelu/f32/16M", [floats(&[LONG])], |x| vec![x[0].gelu()]),
        Case::kernel("dropout/f32/16M", [floats(&[LONG])], |x| vec![Dropout::new(0.1).forward(&x[0], Mode::Training)]),
        Case::kernel("transpose/f32/4096x4096", [floats(&[4096, 4096])], |x| vec![x[0].transpose(0, 1)]),
        Case::kernel(
            format!("embedding/f32/{words}x{width}n{looked_up}/forward"),
            [floats(&[words, width]), Input::below(words as u32, [looked_up])],
            |x| vec![x[0].take(0, &x[1])],
        ),
        Case::kernel(
            format!("embedding/f32/{words}x{width}n{looked_up}/gradient"),
            [floats(&[words, width]), Input::below(words as u32, [looked_up]), floats(&[looked_up, width])],
            |x| x[0].graph().gradients_from(&[(&x[0].take(0, &x[1]), &x[2])], &[&x[0]]),
        ),
    ];
    // As `step/lstm` and `step/gru` have them.
    cases.extend(recurrence(&Cell::lstm(), "lstm", [50, 64, 64]));
    cases.extend(recurrence(&Cell::gru(), "gru", [64, 32, 256]));
    cases
}

/// Steps, batch and hidden units of a sequence whose inputs have been multiplied already.
fn recurrence(cell: &Cell, name: &str, [steps, batch, hidden]: [usize; 3]) -> [Case; 2] {
    let gates = cell.gates() * hidden;
    let bound = (hidden as f64).sqrt().recip();
    let name = format!("{name}_sequence/f32/t{steps}n{batch}h{hidden}");
    let inputs = || {
        [
            floats(&[steps, batch, gates]),
            Input::between(DType::F32, [gates, hidden], -bound, bound),
            floats(&[steps, batch, hidden]),
        ]
    };
    let [first, second] = [cell, cell].map(|cell| RecurrentOptions::new(cell.clone()));
    [
        Case::kernel(format!("{name}/forward"), inputs(), move |x| vec![x[0].recurrent(&x[1], &first).outputs]),
        Case::kernel(format!("{name}/forward_backward"), inputs(), move |x| {
            with_gradients(&x[0].recurrent(&x[1], &second).outputs, &x[2], &[&x[0], &x[1]])
        }),
    ]
}
