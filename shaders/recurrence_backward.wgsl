// The backward pass of a recurrence, from the last step to the first. The gradients of the states are carried in the memory of
// those of the initial state, each unit's by its own invocation. Iteration 0 begins with the gradient of the last state; one
// iteration more than there are steps ends it.
#import shared/recurrence
#import shared/state_product
#import shared/step_barrier

const WIDTH = 1u;

@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> saved: array<f32>;
@group(0) @binding(3) var<storage, read> d_outputs: array<f32>;
@group(0) @binding(4) var<storage, read> d_last: array<f32>;
@group(0) @binding(5) var<storage, read> lengths: array<i32>;
// The parameters of the cell.
@group(0) @binding(6) var<storage, read> vectors: array<f32>;
@group(0) @binding(7) var<storage, read_write> d_gates: array<f32>;
@group(0) @binding(8) var<storage, read_write> carried: array<f32>;

fn source(address: u32, initial: bool) -> f32 {
    return d_gates[address];
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

// Products with the gradients of the gates wait here: what follows is long, and is not to be written out once for each of them. One
// more than there are, since drivers write out a loop that is as long as its array.
var<private> products: array<f32, UNITS * ROWS + 1u>;

fn values_saved(step: u32, row: u32, unit: u32) -> array<f32, SAVED> {
    var values: array<f32, SAVED>;
    for (var k = 0u; k < SAVED; k++) {
        values[k] = saved[value_start(step, row, SAVED, k) + unit];
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

fn finish_unit(iteration: u32, row: u32, unit: u32, item: u32) {
    var upstream: array<f32, STATES>;
    for (var k = 0u; k < STATES; k++) {
        upstream[k] = after(iteration, row, unit, k);
    }
    upstream[0] += products[item];
    if iteration < params.steps {
        let step = backward_step(iteration);
        let start = value_start(step, row, GRADIENTS, 0u) + unit;
        var own: array<f32, GRADIENTS>;
        if is_active(step, row) {
            if HAS_OUTPUTS {
                upstream[0] += d_outputs[value_start(step, row, 1u, 0u) + unit];
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
            d_gates[start + k * params.hidden] = own[k];
        }
    }
    for (var k = 0u; k < STATES; k++) {
        carried[carried_start(row, k) + unit] = upstream[k];
    }
}

// The second half of a step with two products: the second one's gradient is that of the inner state.
fn finish_inner(iteration: u32, row: u32, unit: u32, item: u32) {
    let step = backward_step(iteration);
    if is_active(step, row) {
        let start = value_start(step, row, GRADIENTS, 0u) + unit;
        let upstream = array<f32, 1>(products[item]);
        let before = backward_inner(values_saved(step, row, unit), parameters_of(unit), upstream);
        for (var k = 0u; k < GRADIENTS; k++) {
            // Products from SECOND on do not depend on it.
            if k < OF_PRODUCTS + SECOND || k >= OF_PRODUCTS + GATES {
                d_gates[start + k * params.hidden] += before[k];
            }
        }
        for (var k = 0u; k < STATES; k++) {
            carried[carried_start(row, k) + unit] += before[GRADIENTS + k];
        }
    }
}

// Of the units and rows of a block, one item.
fn finish(iteration: u32, half: u32, first_row: u32, block: u32, item: u32, local: u32) {
    let unit = (block * UNITS + item % UNITS) * LANES + local;
    let row = first_row + item / UNITS;
    if unit < params.hidden && row < params.batch {
        if half == 0u {
            finish_unit(iteration, row, unit, item);
        } else if iteration < params.steps {
            finish_inner(iteration, row, unit, item);
        }
    }
}

@compute @workgroup_size(LANES * WAVES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local_index: u32) {
    let local = local_index % LANES;
    let wave = local_index / LANES;
    let number = group.y * params.grid_width + group.x;
    if !has_work(number) {
        return;
    }
    let first_row = number / sharing() * ROWS;
    let first_block = number % sharing() * params.blocks_each;
    let end_block = min(first_block + params.blocks_each, params.unit_blocks);
    for (var iteration = params.first; iteration < params.first + params.count; iteration++) {
        for (var half = params.first_half; half < params.end_half; half++) {
            for (var block = first_block + wave; block < end_block; block += WAVES) {
                var sums: array<array<array<f32, ROWS>, UNITS>, WIDTH>;
                var columns: array<array<u32, UNITS>, WIDTH>;
                for (var u = 0u; u < UNITS; u++) {
                    columns[0][u] = min((block * UNITS + u) * LANES + local, params.hidden - 1u);
                    for (var r = 0u; r < ROWS; r++) {
                        sums[0][u][r] = 0.0;
                    }
                }
                // Of the first half: gates of the iteration before; of the second, those of this one whose product is with the inner state.
                let second = half == 1u;
                let low = select(0u, SECOND, second);
                let high = select(GATES, SECOND, TWO_HALVES && !second);
                let source_iteration = select(max(iteration, 1u) - 1u, iteration, second);
                if (iteration > 0u || second) && source_iteration < params.steps {
                    for (var gate = low; gate < high; gate++) {
                        var starts: array<u32, ROWS>;
                        for (var r = 0u; r < ROWS; r++) {
                            let row = min(first_row + r, params.batch - 1u);
                            starts[r] = value_start(backward_step(source_iteration), row, GRADIENTS, OF_PRODUCTS + gate);
                        }
                        let offset = gate * params.hidden * params.hidden;
                        add_products(&sums, 0u, WIDTH, starts, offset, params.hidden, columns, false, local);
                    }
                }
                for (var u = 0u; u < UNITS; u++) {
                    for (var r = 0u; r < ROWS; r++) {
                        products[r * UNITS + u] = sums[0][u][r];
                    }
                }
                for (var item = 0u; item < UNITS * ROWS; item += ITEMS) {
                    finish(iteration, half, first_row, block, item, local);
                    if ITEMS > 1u {
                        finish(iteration, half, first_row, block, item + 1u, local);
                    }
                    if ITEMS > 2u {
                        finish(iteration, half, first_row, block, item + 2u, local);
                        finish(iteration, half, first_row, block, item + 3u, local);
                    }
                }
            }
            step_barrier();
        }
    }
}
