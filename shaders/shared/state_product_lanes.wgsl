// Sums of states with columns of a weight, for software drivers: stands in for `shared/state_product`. A workgroup is one subgroup;
// each lane brings one place of every row, and shuffles hand them round. PLACES of them a turn, four or eight, are written out, as such
// drivers count the turns of loops.
fn add_place(
    sums: ptr<function, array<array<array<f32, ROWS>, UNITS>, WIDTH>>,
    low: u32,
    high: u32,
    states: array<f32, ROWS>,
    lane: u32,
    row: u32,
    columns: array<array<u32, UNITS>, WIDTH>,
) {
    var brought = states;
    var column = columns;
    var handed: array<f32, ROWS>;
    for (var r = 0u; r < ROWS; r++) {
        handed[r] = subgroupShuffle(brought[r], lane);
    }
    for (var w = 0u; w < WIDTH; w++) {
        if !RESET_BEFORE || (w >= low && w < high) {
            for (var u = 0u; u < UNITS; u++) {
                let value = weight[row + column[w][u]];
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
    let end = params.hidden - 1u;
    add_place(sums, low, high, states, lane, offset + min(first, end) * row_step, columns);
    add_place(sums, low, high, states, lane + 1u, offset + min(first + 1u, end) * row_step, columns);
    add_place(sums, low, high, states, lane + 2u, offset + min(first + 2u, end) * row_step, columns);
    add_place(sums, low, high, states, lane + 3u, offset + min(first + 3u, end) * row_step, columns);
    if PLACES > 4u {
        add_place(sums, low, high, states, lane + 4u, offset + min(first + 4u, end) * row_step, columns);
        add_place(sums, low, high, states, lane + 5u, offset + min(first + 5u, end) * row_step, columns);
        add_place(sums, low, high, states, lane + 6u, offset + min(first + 6u, end) * row_step, columns);
        add_place(sums, low, high, states, lane + 7u, offset + min(first + 7u, end) * row_step, columns);
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
