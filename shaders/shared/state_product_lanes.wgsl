// Sums of states with columns of a weight, for software drivers: stands in for `shared/state_product`. A workgroup is one subgroup;
// each lane brings one place of every row, and shuffles hand them round.
fn add_products(
    sums: ptr<function, array<array<f32, ROWS>, WIDTH>>,
    low: u32,
    high: u32,
    starts: array<u32, ROWS>,
    offset: u32,
    row_step: u32,
    columns: array<u32, WIDTH>,
    initial: bool,
    local: u32,
) {
    var begin = starts;
    var column = columns;
    for (var place = 0u; place < params.hidden; place += LANES) {
        let own = min(place + local, params.hidden - 1u);
        var states: array<f32, ROWS>;
        for (var r = 0u; r < ROWS; r++) {
            states[r] = source(begin[r] + own, initial);
        }
        let end = min(LANES, params.hidden - place);
        for (var k = 0u; k < end; k++) {
            let row = offset + (place + k) * row_step;
            var handed: array<f32, ROWS>;
            for (var r = 0u; r < ROWS; r++) {
                handed[r] = subgroupShuffle(states[r], k);
            }
            for (var w = 0u; w < WIDTH; w++) {
                if !RESET_BEFORE || (w >= low && w < high) {
                    let value = weight[row + column[w]];
                    for (var r = 0u; r < ROWS; r++) {
                        (*sums)[w][r] = fma(handed[r], value, (*sums)[w][r]);
                    }
                }
            }
        }
    }
}
