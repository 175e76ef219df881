// Matrix product for real GPUs: register tiles. Each invocation computes 8 × 8 elements as four blocks of 4 × 4, so that its
// reads of workgroup memory are whole vectors next to its neighbours'. While a tile is worked on, the next one is on its
// way into registers. Written out by hand: a loop that a compiler does not unroll would put the sums into memory.
#import shared/bringing
#import shared/row_sums_tiles

const ACROSS = TILE_COLUMNS / 8u;
const THREADS_IN_ALL = ACROSS * TILE_ROWS / 8u;

@compute @workgroup_size(THREADS_IN_ALL)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let number = group.y * params.grid_width + group.x;
    if !has_work(number) {
        return;
    }
    let work = work_of(number);
    let across = local % ACROSS;
    let down = local / ACROSS;
    var brought: Brought;
    if work.first < work.last {
        brought = bring(work, local, work.first);
    }
    var left0 = vec4<f32>(0.0);
    var left1 = vec4<f32>(0.0);
    var left2 = vec4<f32>(0.0);
    var left3 = vec4<f32>(0.0);
    var left4 = vec4<f32>(0.0);
    var left5 = vec4<f32>(0.0);
    var left6 = vec4<f32>(0.0);
    var left7 = vec4<f32>(0.0);
    var right0 = vec4<f32>(0.0);
    var right1 = vec4<f32>(0.0);
    var right2 = vec4<f32>(0.0);
    var right3 = vec4<f32>(0.0);
    var right4 = vec4<f32>(0.0);
    var right5 = vec4<f32>(0.0);
    var right6 = vec4<f32>(0.0);
    var right7 = vec4<f32>(0.0);
    var row_parts: Brought;
    for (var first = work.first; first < work.last; first += TILE_INNER) {
        workgroupBarrier();
        put(local, brought);
        if ROW_SUMS {
            row_parts = added(row_parts, brought);
        }
        workgroupBarrier();
        let next = first + TILE_INNER;
        if next < work.last {
            brought = bring(work, local, next);
        }
        for (var k = 0u; k < TILE_INNER; k++) {
            let a = lhs_tile[slot(k, down, LHS_QUADS)];
            let e = lhs_tile[slot(k, down + LHS_QUADS / 2u, LHS_QUADS)];
            let b = rhs_tile[slot(k, across, RHS_QUADS)];
            let f = rhs_tile[slot(k, across + RHS_QUADS / 2u, RHS_QUADS)];
            left0 = fma(vec4<f32>(a.x), b, left0);
            right0 = fma(vec4<f32>(a.x), f, right0);
            left1 = fma(vec4<f32>(a.y), b, left1);
            right1 = fma(vec4<f32>(a.y), f, right1);
            left2 = fma(vec4<f32>(a.z), b, left2);
            right2 = fma(vec4<f32>(a.z), f, right2);
            left3 = fma(vec4<f32>(a.w), b, left3);
            right3 = fma(vec4<f32>(a.w), f, right3);
            left4 = fma(vec4<f32>(e.x), b, left4);
            right4 = fma(vec4<f32>(e.x), f, right4);
            left5 = fma(vec4<f32>(e.y), b, left5);
            right5 = fma(vec4<f32>(e.y), f, right5);
            left6 = fma(vec4<f32>(e.z), b, left6);
            right6 = fma(vec4<f32>(e.z), f, right6);
            left7 = fma(vec4<f32>(e.w), b, left7);
            right7 = fma(vec4<f32>(e.w), f, right7);
        }
    }
    let row = work.tile.x * TILE_ROWS + down * 4u;
    let column = work.tile.y * TILE_COLUMNS + across * 4u;
    let lower = row + TILE_ROWS / 2u;
    let far = column + TILE_COLUMNS / 2u;
    store_quad(work, row, column, left0);
    store_quad(work, row, far, right0);
    store_quad(work, row + 1u, column, left1);
    store_quad(work, row + 1u, far, right1);
    store_quad(work, row + 2u, column, left2);
    store_quad(work, row + 2u, far, right2);
    store_quad(work, row + 3u, column, left3);
    store_quad(work, row + 3u, far, right3);
    store_quad(work, lower, column, left4);
    store_quad(work, lower, far, right4);
    store_quad(work, lower + 1u, column, left5);
    store_quad(work, lower + 1u, far, right5);
    store_quad(work, lower + 2u, column, left6);
    store_quad(work, lower + 2u, far, right6);
    store_quad(work, lower + 3u, column, left7);
    store_quad(work, lower + 3u, far, right7);
    store_row_sums(work, local, row_parts);
}
