//! A cell as what fills the slots of the kernels.

use super::Cell;
use super::derived::Leaf;
use crate::scalar::{Functions, ScalarExpr};
use crate::shader::slot::CellConstants;

/// What the cell has.
pub(super) fn constants(cell: &Cell) -> CellConstants {
    let (counts, derived) = (cell.counts(), cell.derived());
    let inner = derived.inner;
    let reads_hidden = |expression: &ScalarExpr| expression.reads(counts.input(Leaf::State(0)));
    CellConstants {
        gates: counts.gates,
        states: counts.states,
        parameters: counts.parameters,
        saved: cell.saved(),
        gradients: cell.gradients(),
        of_products: cell.of_products(),
        reads_hidden: derived.first.iter().chain([&derived.step]).any(reads_hidden),
        two_halves: inner.is_some(),
        second: inner.map_or(counts.gates, |inner| inner.first_gate),
        inner: inner.map_or(0, |inner| inner.state),
        first: derived.saved_first,
        parameter_slots: counts.parameters.max(1),
        first_slots: derived.saved_first.max(1),
    }
}

/// What it computes.
pub(super) fn functions(cell: &Cell) -> String {
    let (counts, derived) = (cell.counts(), cell.derived());
    let read = |input: usize| match counts.leaf(input) {
        Leaf::Input(gate) => format!("x[{gate}]"),
        Leaf::Product(gate) => format!("product[{gate}]"),
        Leaf::State(state) => format!("state[{state}]"),
        Leaf::Parameter(parameter) => format!("parameter[{parameter}]"),
        Leaf::Upstream(state) => format!("upstream[{state}]"),
        Leaf::InnerUpstream => "upstream[0]".into(),
        Leaf::Saved(value) => format!("saved[{value}]"),
    };
    // In the backward pass, the states before the step are among what was saved.
    let read_saved = |input: usize| match counts.leaf(input) {
        Leaf::State(state) => format!("saved[{}]", cell.saved() - 1 - state),
        _ => read(input),
    };
    let mut functions = Functions::default();
    let forward = [
        ("x", counts.gates),
        ("product", counts.gates),
        ("state", counts.states),
        ("parameter", counts.parameters),
        ("saved", derived.saved_first),
    ];
    let backward = [("saved", cell.saved()), ("parameter", counts.parameters), ("upstream", counts.states)];
    let inner = [("saved", cell.saved()), ("parameter", counts.parameters), ("upstream", 1)];
    // What a cell of one half never calls is there all the same.
    let first = derived.first.clone().unwrap_or_else(ScalarExpr::nothing);
    let zeros = ScalarExpr::zeros(cell.gradients() + counts.states);
    functions.add("first_half", &forward[..4], &first, read);
    functions.add("advance", &forward, &derived.step, read);
    functions.add("backward", &backward, &derived.backward, read_saved);
    functions.add("backward_inner", &inner, derived.backward_inner.as_ref().unwrap_or(&zeros), read_saved);
    functions.module()
}
