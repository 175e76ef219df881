//! A cell as the module `shared/cell` of the kernels.

use super::Cell;
use super::derived::Leaf;
use crate::scalar::{Functions, ScalarExpr};
use crate::shader::constants;

/// The replacement of `shared/cell`.
pub(super) fn module(cell: &Cell) -> String {
    let (counts, derived) = (cell.counts(), cell.derived());
    let inner = derived.inner;
    let reads_hidden = |expression: &ScalarExpr| expression.reads(counts.input(Leaf::State(0)));
    let text = constants(
        &[
            ("GATES", counts.gates),
            ("STATES", counts.states),
            ("PARAMETERS", counts.parameters),
            ("SAVED", cell.saved()),
            ("GRADIENTS", cell.gradients()),
            ("OF_PRODUCTS", cell.of_products()),
            ("SECOND", inner.map_or(counts.gates, |inner| inner.first_gate)),
            ("INNER", inner.map_or(0, |inner| inner.state)),
            ("FIRST", derived.saved_first),
            ("PARAMETER_SLOTS", counts.parameters.max(1)),
            ("FIRST_SLOTS", derived.saved_first.max(1)),
        ],
        &[
            ("READS_HIDDEN", derived.first.iter().chain([&derived.step]).any(reads_hidden)),
            ("TWO_HALVES", inner.is_some()),
        ],
    );
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
    text + &functions.module()
}
