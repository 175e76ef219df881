// Slot state_product, used by family/recurrence_steps.
// The entry point, and sums of states with columns of a weight: this default loads the states into workgroup memory, a piece at a time.
// sums[w][r] += Σ_k source(starts[r] + k) · weight[offset + k · row_step + columns[w][u]], for w from `low` up to `high` (all of
// them, unless a step has two products).
const PIECE = 64u;

var<workgroup> piece: array<f32, PIECE * ROWS>;

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
    var column = columns;
    for (var first = 0u; first < params.hidden; first += PIECE) {
        let end = min(PIECE, params.hidden - first);
        workgroupBarrier();
        for (var item = local; item < PIECE * ROWS; item += LANES) {
            let k = item % PIECE;
            if k < end {
                piece[item] = source(begin[item / PIECE] + first + k, initial);
            }
        }
        workgroupBarrier();
        for (var k = 0u; k < end; k++) {
            let row = offset + (first + k) * row_step;
            for (var w = 0u; w < WIDTH; w++) {
                if !TWO_HALVES || (w >= low && w < high) {
                    for (var u = 0u; u < UNITS; u++) {
                        let value = weight[row + column[w][u]];
                        for (var r = 0u; r < ROWS; r++) {
                            (*sums)[w][u][r] = fma(piece[r * PIECE + k], value, (*sums)[w][u][r]);
                        }
                    }
                }
            }
        }
    }
}

// A workgroup is one group of LANES: WAVES is 1. The number of the group is a constant, as loops that begin at it hold barriers, and
// compilers must see that all invocations reach those together.
@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    run_workgroup(group, 0u, local);
}
