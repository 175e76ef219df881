// Slot state_product, used by family/recurrence_steps.
// The entry point, and sums of states with columns of a weight: this default loads the states into workgroup memory, a piece at a time, and
// takes four inner indices at once. UNROLL of them are an iteration, and rows of zeros fill the last one.
// sums[w][u][r] += Σ_k source(rows.start + r · rows.step + k) · weight[block · hidden + k][columns[w][u]], for w from `low` up to `high`
// (all of them, unless a step has two products).
// Where compilers see that all invocations read one address of workgroup memory, they move each word to a register that all share, and
// wait for it: so the address is theirs, by a zero that they do not know.
#import state_weight/quads

// Groups of four inner indices in a piece.
const PIECE = 16u;

var<workgroup> piece: array<vec4<f32>, PIECE * ROWS>;

fn state_word(start: u32, index: u32, initial: bool) -> f32 {
    if IS_RAGGED {
        return select(0.0, source(start + min(index, params.hidden - 1u), initial), index < params.hidden);
    }
    return source(start + index, initial);
}

fn state_quad(start: u32, index: u32, initial: bool) -> vec4<f32> {
    return vec4(
        state_word(start, index, initial),
        state_word(start, index + 1u, initial),
        state_word(start, index + 2u, initial),
        state_word(start, index + 3u, initial),
    );
}

fn add_quad(
    sums: ptr<function, array<array<array<f32, ROWS>, UNITS>, WIDTH>>,
    low: u32,
    high: u32,
    in_piece: u32,
    quad: u32,
    block: u32,
    quads: u32,
    all_columns: u32,
    columns: array<array<u32, UNITS>, WIDTH>,
) {
    var column = columns;
    var state: array<vec4<f32>, ROWS>;
    for (var r = 0u; r < ROWS; r++) {
        state[r] = piece[r * PIECE + in_piece];
    }
    for (var w = 0u; w < WIDTH; w++) {
        if !TWO_HALVES || (w >= low && w < high) {
            for (var u = 0u; u < UNITS; u++) {
                let value = weight_quad(block, quads, quad, all_columns, column[w][u]);
                for (var r = 0u; r < ROWS; r++) {
                    var sum = fma(state[r].x, value.x, (*sums)[w][u][r]);
                    sum = fma(state[r].y, value.y, sum);
                    sum = fma(state[r].z, value.z, sum);
                    (*sums)[w][u][r] = fma(state[r].w, value.w, sum);
                }
            }
        }
    }
}

fn add_products(
    sums: ptr<function, array<array<array<f32, ROWS>, UNITS>, WIDTH>>,
    low: u32,
    high: u32,
    rows: Rows,
    block: u32,
    all_columns: u32,
    columns: array<array<u32, UNITS>, WIDTH>,
    initial: bool,
    local: u32,
) {
    let quads = (params.hidden + UNROLL - 1u) / UNROLL * (UNROLL / 4u);
    for (var first = 0u; first < quads; first += PIECE) {
        let end = min(PIECE, quads - first);
        workgroupBarrier();
        for (var item = local; item < PIECE * ROWS; item += LANES) {
            let quad = item % PIECE;
            if quad < end {
                let start = rows.start + min(item / PIECE, rows.last) * rows.step;
                piece[item] = state_quad(start, (first + quad) * 4u, initial);
            }
        }
        workgroupBarrier();
        let own = local * params.zero;
        for (var quad = 0u; quad < end; quad += UNROLL / 4u) {
            add_quad(sums, low, high, own + quad, first + quad, block, quads, all_columns, columns);
            if UNROLL > 4u {
                add_quad(sums, low, high, own + quad + 1u, first + quad + 1u, block, quads, all_columns, columns);
            }
            if UNROLL > 8u {
                add_quad(sums, low, high, own + quad + 2u, first + quad + 2u, block, quads, all_columns, columns);
                add_quad(sums, low, high, own + quad + 3u, first + quad + 3u, block, quads, all_columns, columns);
            }
        }
    }
}

// What waits of a sum. An index that only the run knows would put the products into memory.
fn product_of(sum: u32, item: u32) -> f32 {
    var value = products[sum][0];
    for (var other = 1u; other < UNITS * ROWS; other++) {
        value = select(value, products[sum][other], item == other);
    }
    return value;
}

// A workgroup is one group of LANES: WAVES is 1. The number of the group is a constant, as loops that begin at it hold barriers, and
// compilers must see that all invocations reach those together.
@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    run_workgroup(group, 0u, local);
}
