// What a step of a recurrence computes for one unit. Cells are generated from their definitions (src/ops/recurrent/cell.rs) and
// replace this module; this default, whose state becomes its gate's sum, shows what they have.
const GATES = 1u;
const STATES = 1u;
// Values of the unit's own.
const PARAMETERS = 0u;
// Values saved for the backward pass; the last are the states before the step, the hidden one at the end.
const SAVED = 1u;
// Gradients returned: of the gates' sums, of their products where those differ, of the parameters.
const GRADIENTS = 1u;
// The first of the gradients that the weight is multiplied by.
const OF_PRODUCTS = 0u;
// Whether the step reads the hidden state apart from its product.
const READS_HIDDEN = false;
// Whether a step has two halves, since the products of gates from SECOND on are with another state than the hidden one: the saved
// value INNER. Of those that the first half saves, there are FIRST.
const TWO_HALVES = false;
const SECOND = 1u;
const INNER = 0u;
const FIRST = 0u;
// Lengths of arrays, which have one element at least.
const PARAMETER_SLOTS = 1u;
const FIRST_SLOTS = 1u;

// The values that the first half saves.
fn first_half(
    x: array<f32, GATES>,
    product: array<f32, GATES>,
    state: array<f32, STATES>,
    parameter: array<f32, PARAMETER_SLOTS>,
) -> array<f32, FIRST_SLOTS> {
    return array<f32, FIRST_SLOTS>(0.0);
}

// The states after the step, then the other values saved. `saved` are those of the first half.
fn advance(
    x: array<f32, GATES>,
    product: array<f32, GATES>,
    state: array<f32, STATES>,
    parameter: array<f32, PARAMETER_SLOTS>,
    saved: array<f32, FIRST_SLOTS>,
) -> array<f32, SAVED - FIRST> {
    return array<f32, 1>(x[0] + product[0]);
}

// The gradients, then those of the states before the step without what the products add, from those of the states after it.
fn backward(
    saved: array<f32, SAVED>,
    parameter: array<f32, PARAMETER_SLOTS>,
    upstream: array<f32, STATES>,
) -> array<f32, GRADIENTS + STATES> {
    return array<f32, 2>(upstream[0], 0.0);
}

// What the gradient of the inner state adds to the same.
fn backward_inner(
    saved: array<f32, SAVED>,
    parameter: array<f32, PARAMETER_SLOTS>,
    upstream: array<f32, 1>,
) -> array<f32, GRADIENTS + STATES> {
    return array<f32, 2>(0.0, 0.0);
}
