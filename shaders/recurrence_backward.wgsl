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
@group(0) @binding(6) var<storage, read_write> d_gates: array<f32>;
@group(0) @binding(7) var<storage, read_write> carried: array<f32>;

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

fn finish_unit(iteration: u32, row: u32, unit: u32, item: u32) {
    var dh = after(iteration, row, unit, 0u) + products[item];
    var dc = 0.0;
    if STATES > 1u {
        dc = after(iteration, row, unit, 1u);
    }
    if iteration < params.steps {
        let step = backward_step(iteration);
        let start = value_start(step, row, GRADIENTS, 0u) + unit;
        var own: array<f32, GRADIENTS>;
        if is_active(step, row) {
            if HAS_OUTPUTS {
                dh += d_outputs[value_start(step, row, 1u, 0u) + unit];
            }
            var values: array<f32, SAVED>;
            for (var k = 0u; k < SAVED; k++) {
                values[k] = saved[value_start(step, row, SAVED, k) + unit];
            }
            let before = backward(values, dh, dc);
            dh = before.dh;
            dc = before.dc;
            own = before.gates;
        } else {
            for (var gate = 0u; gate < GRADIENTS; gate++) {
                own[gate] = 0.0;
            }
        }
        for (var gate = 0u; gate < GRADIENTS; gate++) {
            d_gates[start + gate * params.hidden] = own[gate];
        }
    }
    carried[carried_start(row, 0u) + unit] = dh;
    if STATES > 1u {
        carried[carried_start(row, 1u) + unit] = dc;
    }
}

// The second half of a step whose reset gate comes before the product, which gives the gradient of the reset state.
fn finish_reset(iteration: u32, row: u32, unit: u32, item: u32) {
    let step = backward_step(iteration);
    if is_active(step, row) {
        let start = value_start(step, row, SAVED, 0u) + unit;
        let gradient_start = value_start(step, row, GRADIENTS, 0u) + unit;
        let sum = products[item];
        let r = saved[start];
        let h = saved[start + 4u * params.hidden];
        d_gates[gradient_start] = sum * h * r * (1.0 - r);
        carried[carried_start(row, 0u) + unit] += sum * r;
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
            finish_reset(iteration, row, unit, item);
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
                // Of the first half: gates of the iteration before; of the second, the new gate of this one.
                let second = half == 1u;
                let low = select(0u, 2u, second);
                let high = select(GATES, 2u, RESET_BEFORE && !second);
                let source_iteration = select(max(iteration, 1u) - 1u, iteration, second);
                if (iteration > 0u || second) && source_iteration < params.steps {
                    for (var gate = low; gate < high; gate++) {
                        var starts: array<u32, ROWS>;
                        for (var r = 0u; r < ROWS; r++) {
                            let row = min(first_row + r, params.batch - 1u);
                            starts[r] = value_start(backward_step(source_iteration), row, GRADIENTS, gradient_of(gate));
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
