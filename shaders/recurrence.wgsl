// A recurrence over steps of a sequence. What a step leaves for the next lies in memory with what is kept for the way back, so that a
// dispatch can go through any number of steps: all of them, where a workgroup has all units of its rows; else one.
#import shared/recurrence
#import shared/state_product
#import shared/turn_end

const WIDTH = GATES;
// The update gate, where there is one.
const UPDATE = min(1u, GATES - 1u);

@group(0) @binding(1) var<storage, read> gates: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> biases: array<f32>;
@group(0) @binding(4) var<storage, read> initial_state: array<f32>;
@group(0) @binding(5) var<storage, read> lengths: array<i32>;
@group(0) @binding(6) var<storage, read_write> outputs: array<f32>;
@group(0) @binding(7) var<storage, read_write> last: array<f32>;
@group(0) @binding(8) var<storage, read_write> kept: array<f32>;

fn source(address: u32, initial: bool) -> f32 {
    if HAS_INITIAL && initial {
        return initial_state[address];
    }
    return kept[address];
}

// State `place` of a unit before a turn.
fn state_before(turn: u32, row: u32, unit: u32, place: u32) -> f32 {
    if turn > 0u {
        return kept[slot_start(step_of(turn), row, SLOTS, SLOTS - 1u - place) + unit];
    }
    if HAS_INITIAL {
        return initial_state[(place * params.batch + row) * params.hidden + unit];
    }
    return 0.0;
}

// Leaves a state for the next turn.
fn leave(turn: u32, row: u32, unit: u32, place: u32, value: f32) {
    if turn + 1u < params.steps {
        kept[slot_start(step_of(turn + 1u), row, SLOTS, SLOTS - 1u - place) + unit] = value;
    } else {
        last[(place * params.batch + row) * params.hidden + unit] = value;
    }
}

// Products with the state wait here: what follows is long, and is not to be written out once for each of them. One more than there
// are, since drivers write out a loop that is as long as its array.
var<private> products: array<array<f32, UNITS * ROWS + 1u>, GATES>;

fn finish_unit(turn: u32, half: u32, row: u32, unit: u32, item: u32) {
    let step = step_of(turn);
    var h = 0.0;
    if READS_HIDDEN || HAS_LENGTHS || turn == 0u {
        h = state_before(turn, row, unit, 0u);
    }
    var c = 0.0;
    if STATES > 1u {
        c = state_before(turn, row, unit, 1u);
    }
    let start = slot_start(step, row, SLOTS, 0u) + unit;
    let x_start = slot_start(step, row, GATES, 0u) + unit;
    var x: array<f32, GATES>;
    for (var gate = 0u; gate < GATES; gate++) {
        x[gate] = gates[x_start + gate * params.hidden];
    }
    var sums: array<f32, GATES>;
    for (var gate = 0u; gate < GATES; gate++) {
        if !RESET_BEFORE || (gate == 2u) == (half == 1u) {
            sums[gate] = products[gate][item];
        }
        if HAS_BIAS {
            sums[gate] += biases[gate * params.hidden + unit];
        }
    }
    if turn == 0u {
        kept[start + (SLOTS - 1u) * params.hidden] = h;
        if STATES > 1u {
            kept[start + (SLOTS - 2u) * params.hidden] = c;
        }
    }
    if RESET_BEFORE && half == 0u {
        let r = sigmoid(x[0] + sums[0]);
        kept[start] = r;
        kept[start + params.hidden] = x[UPDATE] + sums[UPDATE];
        kept[start + 3u * params.hidden] = r * h;
        return;
    }
    if RESET_BEFORE {
        // What the first half found.
        x[UPDATE] = kept[start + params.hidden];
        sums[UPDATE] = 0.0;
    }
    var next = advance(x, sums, h, c);
    for (var slot = 0u; slot < SLOTS - STATES; slot++) {
        if !RESET_BEFORE || slot == 1u || slot == 2u {
            kept[start + slot * params.hidden] = next.own[slot];
        }
    }
    let goes_on = !HAS_LENGTHS || i32(step) < lengths[row];
    outputs[slot_start(step, row, 1u, 0u) + unit] = select(0.0, next.h, goes_on);
    leave(turn, row, unit, 0u, select(h, next.h, goes_on));
    if STATES > 1u {
        leave(turn, row, unit, 1u, select(c, next.c, goes_on));
    }
}

// Of the units and rows of a block, one item.
fn finish(turn: u32, half: u32, first_row: u32, block: u32, item: u32, local: u32) {
    let unit = (block * UNITS + item % UNITS) * LANES + local;
    let row = first_row + item / UNITS;
    if unit < params.hidden && row < params.batch {
        finish_unit(turn, half, row, unit, item);
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
    for (var turn = params.first; turn < params.first + params.count; turn++) {
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
                let of_initial = turn == 0u && half == 0u;
                for (var r = 0u; r < ROWS; r++) {
                    let row = min(first_row + r, params.batch - 1u);
                    if of_initial {
                        starts[r] = row * params.hidden;
                    } else {
                        starts[r] = slot_start(step_of(turn), row, SLOTS, select(SLOTS - 1u, 3u, half == 1u));
                    }
                }
                if !of_initial || HAS_INITIAL {
                    let low = select(0u, 2u, half == 1u);
                    let high = select(WIDTH, 2u, RESET_BEFORE && half == 0u);
                    add_products(&sums, low, high, starts, 0u, GATES * params.hidden, columns, of_initial, local);
                }
                for (var w = 0u; w < WIDTH; w++) {
                    if !RESET_BEFORE || (w == 2u) == (half == 1u) {
                        for (var u = 0u; u < UNITS; u++) {
                            for (var r = 0u; r < ROWS; r++) {
                                products[w][r * UNITS + u] = sums[w][u][r];
                            }
                        }
                    }
                }
                for (var item = 0u; item < UNITS * ROWS; item += ITEMS) {
                    finish(turn, half, first_row, block, item, local);
                    if ITEMS > 1u {
                        finish(turn, half, first_row, block, item + 1u, local);
                    }
                    if ITEMS > 2u {
                        finish(turn, half, first_row, block, item + 2u, local);
                        finish(turn, half, first_row, block, item + 3u, local);
                    }
                }
            }
            // What other invocations of the workgroup have left is read in the next turn.
            end_turn();
        }
    }
}
