// The backward pass of a recurrence, from the last step to the first. The gradients of the states are carried in the memory of
// those of the initial state, each unit's by its own invocation. Iteration 0 begins with the gradient of the last state; one
// iteration more than there are steps ends it.
#import family/recurrence_steps
#import rhs/elements

const WIDTH = 1u;
const WEIGHT = 1u;

// Binding 2 is what the forward pass saved, of 32 or 16 bits.
@group(0) @binding(3) var<storage, read> d_outputs: array<u32>;
@group(0) @binding(4) var<storage, read> d_last: array<f32>;
@group(0) @binding(5) var<storage, read> lengths: array<i32>;
// The parameters of the cell.
@group(0) @binding(6) var<storage, read> vectors: array<f32>;
@group(0) @binding(7) var<storage, read_write> d_gates: array<StepWord>;
@group(0) @binding(8) var<storage, read_write> carried: array<f32>;

// What waits of the first of two neighbouring units.
var<private> waiting: array<f32, GRADIENTS>;

fn gradient_at(address: u32) -> f32 {
    return step_value(d_gates[step_index(address)], address);
}

fn store_gradient(index: u32, address: u32, value: f32, is_second: bool) {
    if IN_PAIRS && !is_second {
        waiting[index] = value;
    } else {
        d_gates[step_index(address)] = step_word(waiting[index], value);
    }
}

fn source(address: u32, initial: bool) -> f32 {
    return gradient_at(address);
}

fn backward_step(iteration: u32) -> u32 {
    return step_of(params.steps - 1u - iteration);
}

fn is_active(step: u32, row: u32) -> bool {
    return !HAS_LENGTHS || i32(step) < lengths[row];
}

fn carried_start(row: u32, state: u32) -> u32 {
    return (state * params.batch + row) * params.hidden;
}

// The gradient of a state after the step of an iteration.
fn after(iteration: u32, row: u32, unit: u32, state: u32) -> f32 {
    if iteration > 0u {
        return carried[carried_start(row, state) + unit];
    }
    if HAS_LAST {
        return d_last[carried_start(row, state) + unit];
    }
    return 0.0;
}

fn is_computed(sum: u32, half: u32) -> bool {
    return true;
}

// The products of the gradients of the gates with the rows of the weight. Of the first half: gates of the iteration before; of the second,
// those of this one whose product is with the inner state.
fn add_all_products(
    sums: ptr<function, array<array<array<f32, ROWS>, UNITS>, WIDTH>>,
    iteration: u32,
    half: u32,
    first_row: u32,
    columns: array<array<u32, UNITS>, WIDTH>,
    local: u32,
) {
    let second = half == 1u;
    let low = select(0u, SECOND, second);
    let high = select(GATES, SECOND, TWO_HALVES && !second);
    let source_iteration = select(max(iteration, 1u) - 1u, iteration, second);
    if (iteration > 0u || second) && source_iteration < params.steps {
        for (var gate = low; gate < high; gate++) {
            let start = value_start(backward_step(source_iteration), first_row, GRADIENTS, OF_PRODUCTS + gate);
            let rows = Rows(start, GRADIENTS * params.hidden, params.batch - 1u - first_row);
            add_products(sums, 0u, WIDTH, rows, gate, params.hidden, columns, false, local);
        }
    }
}

fn values_saved(step: u32, row: u32, unit: u32) -> array<f32, SAVED> {
    var values: array<f32, SAVED>;
    for (var k = 0u; k < SAVED; k++) {
        values[k] = rhs_at(value_start(step, row, SAVED, k) + unit);
    }
    return values;
}

fn parameters_of(unit: u32) -> array<f32, PARAMETER_SLOTS> {
    var parameter: array<f32, PARAMETER_SLOTS>;
    for (var k = 0u; k < PARAMETERS; k++) {
        parameter[k] = vectors[k * params.hidden + unit];
    }
    return parameter;
}

fn finish_step(iteration: u32, row: u32, unit: u32, item: u32, is_second: bool) {
    var upstream: array<f32, STATES>;
    for (var k = 0u; k < STATES; k++) {
        upstream[k] = after(iteration, row, unit, k);
    }
    upstream[0] += product_of(0u, item);
    if iteration < params.steps {
        let step = backward_step(iteration);
        let start = value_start(step, row, GRADIENTS, 0u) + unit;
        var own: array<f32, GRADIENTS>;
        if is_active(step, row) {
            if HAS_OUTPUTS {
                let address = value_start(step, row, 1u, 0u) + unit;
                upstream[0] += sequence_value(d_outputs[sequence_index(address)], address);
            }
            let before = backward(values_saved(step, row, unit), parameters_of(unit), upstream);
            for (var k = 0u; k < GRADIENTS; k++) {
                own[k] = before[k];
            }
            for (var k = 0u; k < STATES; k++) {
                upstream[k] = before[GRADIENTS + k];
            }
        } else {
            for (var k = 0u; k < GRADIENTS; k++) {
                own[k] = 0.0;
            }
        }
        for (var k = 0u; k < GRADIENTS; k++) {
            store_gradient(k, start + k * params.hidden, own[k], is_second);
        }
    }
    for (var k = 0u; k < STATES; k++) {
        carried[carried_start(row, k) + unit] = upstream[k];
    }
}

// The second half of a step with two products: the second one's gradient is that of the inner state.
fn finish_inner(iteration: u32, row: u32, unit: u32, item: u32, is_second: bool) {
    let step = backward_step(iteration);
    if is_active(step, row) {
        let start = value_start(step, row, GRADIENTS, 0u) + unit;
        let upstream = array<f32, 1>(product_of(0u, item));
        let before = backward_inner(values_saved(step, row, unit), parameters_of(unit), upstream);
        for (var k = 0u; k < GRADIENTS; k++) {
            // Products from SECOND on do not depend on it.
            if k < OF_PRODUCTS + SECOND || k >= OF_PRODUCTS + GATES {
                let address = start + k * params.hidden;
                store_gradient(k, address, gradient_at(address) + before[k], is_second);
            }
        }
        for (var k = 0u; k < STATES; k++) {
            carried[carried_start(row, k) + unit] += before[GRADIENTS + k];
        }
    }
}

fn finish_unit(iteration: u32, half: u32, row: u32, unit: u32, item: u32, is_second: bool) {
    if half == 0u {
        finish_step(iteration, row, unit, item, is_second);
    } else if TWO_HALVES && iteration < params.steps {
        finish_inner(iteration, row, unit, item, is_second);
    }
}
