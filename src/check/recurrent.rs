//! Recurrences to check: every cell, both directions, with and without what they may have; hidden sizes on both sides of a
//! workgroup's.

use super::Family;
use super::input::Input;
use crate::graph::Tensor;
use crate::ops::{Cell, RecurrentOptions};

/// Sums of products, through the steps of a sequence.
const SEQUENCE: f64 = 1e-4;

/// Steps, batch, hidden units; whether in reverse, and with all that a recurrence may have.
type Row = (usize, usize, usize, bool, bool);

const ROWS: &[Row] = &[
    (1, 1, 1, false, false),
    (17, 3, 5, true, true),
    (9, 33, 64, false, true),
    (3, 4, 256, false, false),
    (2, 2, 513, true, true),
];

pub(super) fn families() -> Vec<Family> {
    Cell::all()
        .into_iter()
        .map(|cell| {
            ROWS.iter().fold(Family::new(format!("{}/sequence", cell.name()), SEQUENCE), |family, &row| {
                let (steps, batch, hidden, reverse, all) = row;
                let width = cell.gates() * hidden;
                let mut inputs = vec![
                    Input::normal(&[steps, batch, width]),
                    Input::awkward(&[width, hidden], (hidden as f64).sqrt().recip(), &[]),
                ];
                if all {
                    inputs.push(Input::normal(&[cell.states(), batch, hidden]));
                    inputs.push(Input::integers(&[batch], 1, steps as i64 + 1));
                    inputs.push(Input::normal(&[width]));
                }
                let cell = cell.clone();
                family.case(inputs, move |inputs: &[Tensor]| {
                    let options = RecurrentOptions {
                        cell: cell.clone(),
                        reverse,
                        initial: inputs.get(2),
                        lengths: inputs.get(3),
                        bias: inputs.get(4),
                        parameters: &[],
                    };
                    let found = inputs[0].recurrent(&inputs[1], &options);
                    // The last state is checked too.
                    found.outputs + found.last.sum(&[0])
                })
            })
        })
        .collect()
}
