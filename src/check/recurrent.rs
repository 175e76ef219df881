//! Recurrences to check: every built-in cell and two of the kinds that users define, both directions, with and without what they may have;
//! hidden sizes on both sides of a workgroup's.

use super::Family;
use super::input::Input;
use crate::graph::Tensor;
use crate::ops::{Cell, CellDefinition, RecurrentOptions};

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

/// A cell with parameters, and one with two products.
fn custom() -> [crate::Result<Cell>; 2] {
    let peephole = CellDefinition::new("peephole_lstm", 4).parameters(["ci", "cf", "co"]).step(|s| {
        let c = s.state(1);
        let i = (s.gate(0) + s.parameter("ci") * c).sigmoid();
        let f = (s.gate(1) + s.parameter("cf") * c).sigmoid();
        let c = f * c + i * s.gate(2).tanh();
        [(s.gate(3) + s.parameter("co") * c).sigmoid() * c.tanh(), c]
    });
    let mgu = CellDefinition::new("mgu", 2).step(|s| {
        let (f, h) = (s.gate(0).sigmoid(), s.state(0));
        s.second_product(1, f * h);
        [(1.0 - f) * h + f * s.gate(1).tanh()]
    });
    [peephole, mgu]
}

pub(super) fn families() -> Vec<Family> {
    Cell::all()
        .into_iter()
        .chain(custom().into_iter().flatten())
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
                inputs.extend(cell.parameters().iter().map(|_| Input::normal(&[hidden])));
                let cell = cell.clone();
                family.case(inputs, move |inputs: &[Tensor]| {
                    let (inputs, parameters) = inputs.split_at(inputs.len() - cell.parameters().len());
                    let options = RecurrentOptions {
                        cell: cell.clone(),
                        reverse,
                        initial: inputs.get(2),
                        lengths: inputs.get(3),
                        bias: inputs.get(4),
                        parameters,
                    };
                    let found = inputs[0].recurrent(&inputs[1], &options);
                    // The last state is checked too.
                    found.outputs + found.last.sum([0])
                })
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_defined_as_they_should_be() -> crate::Result<()> {
        custom().into_iter().try_for_each(|cell| cell.map(drop))
    }
}
