// Slot cell, used by family/recurrence.
// What a step of a recurrence computes for one unit. Cells are generated from their definitions (src/ops/recurrent/cell.rs); this
// default, whose state becomes its gate's sum, shows what they have.
#import lanes/one
#import constants/cell

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
