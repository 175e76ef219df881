// A recurrence over steps of a sequence. What a step leaves for the next is in memory, with what is saved for the backward pass, so
// that a dispatch can compute any number of steps: all of them, where a workgroup has all units of its rows; else one.
#import family/recurrence_steps

const WIDTH = GATES;
const WEIGHT = 2u;

@group(0) @binding(1) var<storage, read> gates: array<u32>;
// The bias of the products, where there is one, then the parameters.
@group(0) @binding(3) var<storage, read> vectors: array<f32>;
@group(0) @binding(4) var<storage, read> initial_state: array<f32>;
@group(0) @binding(5) var<storage, read> lengths: array<i32>;
@group(0) @binding(6) var<storage, read_write> outputs: array<StepWord>;
@group(0) @binding(7) var<storage, read_write> last: array<f32>;
@group(0) @binding(8) var<storage, read_write> saved: array<StepWord>;

// What waits of the first of two neighbouring units: its saved values, the states before the first step, and its output.
var<private> waiting: array<f32, SAVED + STATES + 1u>;

fn saved_at(address: u32) -> f32 {
    return step_value(saved[step_index(address)], address);
}

fn save(index: u32, address: u32, value: f32, is_second: bool) {
    if IN_PAIRS && !is_second {
        waiting[index] = value;
    } else {
        saved[step_index(address)] = step_word(waiting[index], value);
    }
}

fn source(address: u32, initial: bool) -> f32 {
    if HAS_INITIAL && initial {
        return initial_state[address];
    }
    return saved_at(address);
}

// A state of a unit before an iteration.
fn state_before(iteration: u32, row: u32, unit: u32, state: u32) -> f32 {
    if iteration > 0u {
        if IN_PAIRS {
            // Not rounded, as what is saved.
            return last[(state * params.batch + row) * params.hidden + unit];
        }
        return saved_at(value_start(step_of(iteration), row, SAVED, SAVED - 1u - state) + unit);
    }
    if HAS_INITIAL {
        return initial_state[(state * params.batch + row) * params.hidden + unit];
    }
    return 0.0;
}

// Stores a state for the next iteration.
fn store_state(iteration: u32, row: u32, unit: u32, state: u32, value: f32, is_second: bool) {
    if iteration + 1u < params.steps {
        let index = SAVED - 1u - state;
        save(index, value_start(step_of(iteration + 1u), row, SAVED, index) + unit, value, is_second);
    }
    if IN_PAIRS || iteration + 1u == params.steps {
        last[(state * params.batch + row) * params.hidden + unit] = value;
    }
}

// Of a step in two halves, the sums that one of them computes.
fn is_computed(sum: u32, half: u32) -> bool {
    return !TWO_HALVES || (sum >= SECOND) == (half == 1u);
}

// The products of the state before the step with the columns of all gates; in a second half, those of the inner state.
fn add_all_products(
    sums: ptr<function, array<array<array<f32, ROWS>, UNITS>, WIDTH>>,
    iteration: u32,
    half: u32,
    first_row: u32,
    columns: array<array<u32, UNITS>, WIDTH>,
    local: u32,
) {
    let of_initial = iteration == 0u && half == 0u;
    var rows = Rows(first_row * params.hidden, params.hidden, params.batch - 1u - first_row);
    if !of_initial {
        rows.start = value_start(step_of(iteration), first_row, SAVED, select(SAVED - 1u, INNER, half == 1u));
        rows.step = SAVED * params.hidden;
    }
    if !of_initial || HAS_INITIAL {
        let low = select(0u, SECOND, half == 1u);
        let high = select(WIDTH, SECOND, TWO_HALVES && half == 0u);
        add_products(sums, low, high, rows, 0u, GATES * params.hidden, columns, of_initial, local);
    }
}

fn finish_unit(iteration: u32, half: u32, row: u32, unit: u32, item: u32, is_second: bool) {
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
        let address = x_start + gate * params.hidden;
        x[gate] = sequence_value(gates[sequence_index(address)], address);
    }
    var sums: array<f32, GATES>;
    for (var gate = 0u; gate < GATES; gate++) {
        if is_computed(gate, half) {
            sums[gate] = product_of(gate, item);
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
            save(SAVED + k, start + (SAVED - 1u - k) * params.hidden, state[k], is_second);
        }
    }
    var first: array<f32, FIRST_SLOTS>;
    if TWO_HALVES && half == 0u {
        first = first_half(x, sums, state, parameter);
        for (var k = 0u; k < FIRST; k++) {
            save(k, start + k * params.hidden, first[k], is_second);
        }
        return;
    }
    for (var k = 0u; k < FIRST; k++) {
        first[k] = saved_at(start + k * params.hidden);
    }
    var next = advance(x, sums, state, parameter, first);
    for (var k = FIRST; k < SAVED - STATES; k++) {
        save(k, start + k * params.hidden, next[STATES + k - FIRST], is_second);
    }
    let is_active = !HAS_LENGTHS || i32(step) < lengths[row];
    let output_address = value_start(step, row, 1u, 0u) + unit;
    let output = select(0.0, next[0], is_active);
    if IN_PAIRS && !is_second {
        waiting[SAVED + STATES] = output;
    } else {
        outputs[step_index(output_address)] = step_word(waiting[SAVED + STATES], output);
    }
    for (var k = 0u; k < STATES; k++) {
        store_state(iteration, row, unit, k, select(state[k], next[k], is_active), is_second);
    }
}
