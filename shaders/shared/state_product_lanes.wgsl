// Sums of states with columns of a weight, for software drivers: stands in for `shared/state_product`. A workgroup is one subgroup;
// each lane brings one place of every row, and shuffles hand them round. PLACES of them a turn, four or eight, are written out, as such
// drivers count the turns of loops.
fn add_place(
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
    var brought = states;
    var column = columns;
    var handed: array<f32, ROWS>;
    for (var r = 0u; r < ROWS; r++) {
        handed[r] = subgroupShuffle(brought[r], lane);
    }
    for (var w = 0u; w < WIDTH; w++) {
        if !RESET_BEFORE || (w >= low && w < high) {
            for (var u = 0u; u < UNITS; u++) {
                var value = weight[row + column[w][u]];
                if IS_RAGGED {
                    // Beyond the last unit both are 0: a weight that is infinite there would make a NaN of the state's 0.
                    value = select(0.0, value, index < params.hidden);
                }
                for (var r = 0u; r < ROWS; r++) {
                    (*sums)[w][u][r] = fma(handed[r], value, (*sums)[w][u][r]);
                }
            }
        }
    }
}

// What PLACES places add, whose first one the given lane has.
fn add_places(
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
    add_place(sums, low, high, states, lane, first, offset, row_step, columns);
    add_place(sums, low, high, states, lane + 1u, first + 1u, offset, row_step, columns);
    add_place(sums, low, high, states, lane + 2u, first + 2u, offset, row_step, columns);
    add_place(sums, low, high, states, lane + 3u, first + 3u, offset, row_step, columns);
    if PLACES > 4u {
        add_place(sums, low, high, states, lane + 4u, first + 4u, offset, row_step, columns);
        add_place(sums, low, high, states, lane + 5u, first + 5u, offset, row_step, columns);
        add_place(sums, low, high, states, lane + 6u, first + 6u, offset, row_step, columns);
        add_place(sums, low, high, states, lane + 7u, first + 7u, offset, row_step, columns);
    }
}

fn add_products(
    sums: ptr<function, array<array<array<f32, ROWS>, UNITS>, WIDTH>>,
    low: u32,
    high: u32,
    starts: array<u32, ROWS>,
    offset: u32,
    row_step: u32,
    columns: array<array<u32, UNITS>, WIDTH>,
    initial: bool,
    local: u32,
) {
    var begin = starts;
    let end = params.hidden - 1u;
    for (var place = 0u; place < params.hidden; place += LANES) {
        // Places beyond the last count as zeros.
        var states: array<f32, ROWS>;
        for (var r = 0u; r < ROWS; r++) {
            states[r] = select(0.0, source(begin[r] + min(place + local, end), initial), place + local <= end);
        }
        if LANES == PLACES {
            // A loop of one turn would count as two.
            add_places(sums, low, high, states, 0u, place, offset, row_step, columns);
        } else {
            for (var k = 0u; k < LANES; k += PLACES) {
                add_places(sums, low, high, states, k, place + k, offset, row_step, columns);
            }
        }
    }
}
