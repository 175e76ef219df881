// A recurrence over steps of a sequence. What a step leaves for the next is in memory, with what is saved for the backward pass, so
// that a dispatch can compute any number of steps: all of them, where a workgroup has all units of its rows; else one.
#import shared/recurrence
#import shared/state_product
#import shared/step_barrier

const WIDTH = GATES;

@group(0) @binding(1) var<storage, read> gates: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
// The bias of the products, where there is one, then the parameters.
@group(0) @binding(3) var<storage, read> vectors: array<f32>;
@group(0) @binding(4) var<storage, read> initial_state: array<f32>;
@group(0) @binding(5) var<storage, read> lengths: array<i32>;
@group(0) @binding(6) var<storage, read_write> outputs: array<f32>;
@group(0) @binding(7) var<storage, read_write> last: array<f32>;
@group(0) @binding(8) var<storage, read_write> saved: array<f32>;

fn source(address: u32, initial: bool) -> f32 {
    if HAS_INITIAL && initial {
        return initial_state[address];
    }
    return saved[address];
}

// A state of a unit before an iteration.
fn state_before(iteration: u32, row: u32, unit: u32, state: u32) -> f32 {
    if iteration > 0u {
        return saved[value_start(step_of(iteration), row, SAVED, SAVED - 1u - state) + unit];
    }
    if HAS_INITIAL {
        return initial_state[(state * params.batch + row) * params.hidden + unit];
    }
    return 0.0;
}

// Stores a state for the next iteration.
fn store_state(iteration: u32, row: u32, unit: u32, state: u32, value: f32) {
    if iteration + 1u < params.steps {
        saved[value_start(step_of(iteration + 1u), row, SAVED, SAVED - 1u - state) + unit] = value;
    } else {
        last[(state * params.batch + row) * params.hidden + unit] = value;
    }
}

// Products with the state wait here: what follows is long, and is not to be written out once for each of them. One more than there
// are, since drivers write out a loop that is as long as its array.
var<private> products: array<array<f32, UNITS * ROWS + 1u>, GATES>;

fn finish_unit(iteration: u32, half: u32, row: u32, unit: u32, item: u32) {
    let step = step_of(iteration);
    var state: array<f32, STATES>;
    for (var k = 0u; k < STATES; k++) {
        if k > 0u || READS_HIDDEN || HAS_LENGTHS || iteration == 0u {
            state[k] = state_before(iteration, row, unit, k);
        }
    }
    let start = value_start(step, row, SAVED, 0u) + unit;
    let x_start = value_start(step, row, GATES, 0u) + unit;
    var x: array<f32, GATES>;
    for (var gate = 0u; gate < GATES; gate++) {
        x[gate] = gates[x_start + gate * params.hidden];
    }
    var sums: array<f32, GATES>;
    for (var gate = 0u; gate < GATES; gate++) {
        if !TWO_HALVES || (gate >= SECOND) == (half == 1u) {
            sums[gate] = products[gate][item];
        }
        if HAS_BIAS {
            sums[gate] += vectors[gate * params.hidden + unit];
        }
    }
    var parameter: array<f32, PARAMETER_SLOTS>;
    for (var k = 0u; k < PARAMETERS; k++) {
        parameter[k] = vectors[(FIRST_PARAMETER + k) * params.hidden + unit];
    }
    if iteration == 0u && half == 0u {
        for (var k = 0u; k < STATES; k++) {
            saved[start + (SAVED - 1u - k) * params.hidden] = state[k];
        }
    }
    var first: array<f32, FIRST_SLOTS>;
    if TWO_HALVES && half == 0u {
        first = first_half(x, sums, state, parameter);
        for (var k = 0u; k < FIRST; k++) {
            saved[start + k * params.hidden] = first[k];
        }
        return;
    }
    for (var k = 0u; k < FIRST; k++) {
        first[k] = saved[start + k * params.hidden];
    }
    var next = advance(x, sums, state, parameter, first);
    for (var k = FIRST; k < SAVED - STATES; k++) {
        saved[start + k * params.hidden] = next[STATES + k - FIRST];
    }
    let is_active = !HAS_LENGTHS || i32(step) < lengths[row];
    outputs[value_start(step, row, 1u, 0u) + unit] = select(0.0, next[0], is_active);
    for (var k = 0u; k < STATES; k++) {
        store_state(iteration, row, unit, k, select(state[k], next[k], is_active));
    }
}

// Of the units and rows of a block, one item.
fn finish(iteration: u32, half: u32, first_row: u32, block: u32, item: u32, local: u32) {
    let unit = (block * UNITS + item % UNITS) * LANES + local;
    let row = first_row + item / UNITS;
    if unit < params.hidden && row < params.batch {
        finish_unit(iteration, half, row, unit, item);
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
                for (var w = 0u; w < WIDTH; w++) {
                    for (var u = 0u; u < UNITS; u++) {
                        let unit = (block * UNITS + u) * LANES + local;
                        columns[w][u] = w * params.hidden + min(unit, params.hidden - 1u);
                        for (var r = 0u; r < ROWS; r++) {
                            sums[w][u][r] = 0.0;
                        }
                    }
                }
                var starts: array<u32, ROWS>;
                let of_initial = iteration == 0u && half == 0u;
                for (var r = 0u; r < ROWS; r++) {
                    let row = min(first_row + r, params.batch - 1u);
                    if of_initial {
                        starts[r] = row * params.hidden;
                    } else {
                        starts[r] = value_start(step_of(iteration), row, SAVED, select(SAVED - 1u, INNER, half == 1u));
                    }
                }
                if !of_initial || HAS_INITIAL {
                    let low = select(0u, SECOND, half == 1u);
                    let high = select(WIDTH, SECOND, TWO_HALVES && half == 0u);
                    add_products(&sums, low, high, starts, 0u, GATES * params.hidden, columns, of_initial, local);
                }
                for (var w = 0u; w < WIDTH; w++) {
                    if !TWO_HALVES || (w >= SECOND) == (half == 1u) {
                        for (var u = 0u; u < UNITS; u++) {
                            for (var r = 0u; r < ROWS; r++) {
                                products[w][r * UNITS + u] = sums[w][u][r];
                            }
                        }
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
            // What other invocations of the workgroup have stored is read in the next iteration.
            step_barrier();
        }
    }
}
