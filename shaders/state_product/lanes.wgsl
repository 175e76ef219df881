// Slot state_product, used by family/recurrence_steps.
// The entry point, and sums of states with columns of a weight, for software drivers: each lane loads one element of every row, and
// shuffles share them in its subgroup. UNROLL of them, four or eight, are written out in an iteration, as such drivers count the
// iterations of loops.
@group(0) @binding(WEIGHT) var<storage, read> weight: array<f32>;

fn add_inner_index(
    sums: ptr<function, array<array<array<f32, ROWS>, UNITS>, WIDTH>>,
    low: u32,
    high: u32,
    states: array<f32, ROWS>,
    lane: u32,
    index: u32,
    offset: u32,
    row_step: u32,
    columns: array<array<u32, UNITS>, WIDTH>,
) {
    let row = offset + min(index, params.hidden - 1u) * row_step;
    var loaded = states;
    var column = columns;
    var shared_state: array<f32, ROWS>;
    for (var r = 0u; r < ROWS; r++) {
        shared_state[r] = subgroupShuffle(loaded[r], lane);
    }
    for (var w = 0u; w < WIDTH; w++) {
        if !TWO_HALVES || (w >= low && w < high) {
            for (var u = 0u; u < UNITS; u++) {
                var value = weight[row + column[w][u]];
                if IS_RAGGED {
                    // Beyond the last unit both are 0: a weight that is infinite there would make a NaN of the state's 0.
                    value = select(0.0, value, index < params.hidden);
                }
                for (var r = 0u; r < ROWS; r++) {
                    (*sums)[w][u][r] = fma(shared_state[r], value, (*sums)[w][u][r]);
                }
            }
        }
    }
}

// What UNROLL inner indices add, whose first one the given lane has.
fn add_inner_indices(
    sums: ptr<function, array<array<array<f32, ROWS>, UNITS>, WIDTH>>,
    low: u32,
    high: u32,
    states: array<f32, ROWS>,
    lane: u32,
    first: u32,
    offset: u32,
    row_step: u32,
    columns: array<array<u32, UNITS>, WIDTH>,
) {
    add_inner_index(sums, low, high, states, lane, first, offset, row_step, columns);
    add_inner_index(sums, low, high, states, lane + 1u, first + 1u, offset, row_step, columns);
    add_inner_index(sums, low, high, states, lane + 2u, first + 2u, offset, row_step, columns);
    add_inner_index(sums, low, high, states, lane + 3u, first + 3u, offset, row_step, columns);
    if UNROLL > 4u {
        add_inner_index(sums, low, high, states, lane + 4u, first + 4u, offset, row_step, columns);
        add_inner_index(sums, low, high, states, lane + 5u, first + 5u, offset, row_step, columns);
        add_inner_index(sums, low, high, states, lane + 6u, first + 6u, offset, row_step, columns);
        add_inner_index(sums, low, high, states, lane + 7u, first + 7u, offset, row_step, columns);
    }
}

fn add_products(
    sums: ptr<function, array<array<array<f32, ROWS>, UNITS>, WIDTH>>,
    low: u32,
    high: u32,
    rows: Rows,
    block: u32,
    row_step: u32,
    columns: array<array<u32, UNITS>, WIDTH>,
    initial: bool,
    local: u32,
) {
    var begin: array<u32, ROWS>;
    for (var r = 0u; r < ROWS; r++) {
        begin[r] = rows.start + min(r, rows.last) * rows.step;
    }
    let offset = block * params.hidden * row_step;
    let end = params.hidden - 1u;
    for (var first = 0u; first < params.hidden; first += LANES) {
        // Elements beyond the last count as zeros.
        var states: array<f32, ROWS>;
        for (var r = 0u; r < ROWS; r++) {
            states[r] = select(0.0, source(begin[r] + min(first + local, end), initial), first + local <= end);
        }
        if LANES == UNROLL {
            // A loop of one iteration would count as two.
            add_inner_indices(sums, low, high, states, 0u, first, offset, row_step, columns);
        } else {
            for (var k = 0u; k < LANES; k += UNROLL) {
                add_inner_indices(sums, low, high, states, k, first + k, offset, row_step, columns);
            }
        }
    }
}

fn product_of(sum: u32, item: u32) -> f32 {
    return products[sum][item];
}

// A group of LANES is a subgroup. Its built-in number tells compilers that loops which begin at it are the same for the whole subgroup, as
// shuffles need it.
@compute @workgroup_size(LANES * WAVES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local_index: u32,
    @builtin(subgroup_id) wave: u32,
) {
    run_workgroup(group, wave, local_index % LANES);
}
