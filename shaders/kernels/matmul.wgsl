// Matrix product for real GPUs: register tiles. Each invocation computes 8 × 8 elements as four blocks of 4 × 4, so that its
// reads of workgroup memory are whole vectors next to its neighbours'. While a tile is worked on, the next one is
// loaded into registers. Written out by hand: a loop that a compiler does not unroll would put the sums into memory.
#import load/elements
#import family/tile_row_sums

const ACROSS = TILE_COLUMNS / 8u;
const TOTAL_THREADS = ACROSS * TILE_ROWS / 8u;

@compute @workgroup_size(TOTAL_THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let number = group.y * params.grid_width + group.x;
    if !has_work(number) {
        return;
    }
    let work = work_of(number);
    let across = local % ACROSS;
    let down = local / ACROSS;
    var loaded: Loaded;
    if work.first < work.last {
        loaded = load_tiles(work, local, work.first);
    }
    // Sums of the invocation's eight rows: four columns in the near half of the tile, and four in its far half.
    var near_sum0 = vec4<f32>(0.0);
    var near_sum1 = vec4<f32>(0.0);
    var near_sum2 = vec4<f32>(0.0);
    var near_sum3 = vec4<f32>(0.0);
    var near_sum4 = vec4<f32>(0.0);
    var near_sum5 = vec4<f32>(0.0);
    var near_sum6 = vec4<f32>(0.0);
    var near_sum7 = vec4<f32>(0.0);
    var far_sum0 = vec4<f32>(0.0);
    var far_sum1 = vec4<f32>(0.0);
    var far_sum2 = vec4<f32>(0.0);
    var far_sum3 = vec4<f32>(0.0);
    var far_sum4 = vec4<f32>(0.0);
    var far_sum5 = vec4<f32>(0.0);
    var far_sum6 = vec4<f32>(0.0);
    var far_sum7 = vec4<f32>(0.0);
    var row_parts: Loaded;
    for (var first = work.first; first < work.last; first += TILE_INNER) {
        workgroupBarrier();
        write_tiles(local, loaded);
        if ROW_SUMS {
            row_parts = added(row_parts, loaded);
        }
        workgroupBarrier();
        let next = first + TILE_INNER;
        if next < work.last {
            loaded = load_tiles(work, local, next);
        }
        for (var k = 0u; k < TILE_INNER; k++) {
            let lhs_upper = lhs_tile[slot(k, down, LHS_QUADS)];
            let lhs_lower = lhs_tile[slot(k, down + LHS_QUADS / 2u, LHS_QUADS)];
            let rhs_near = rhs_tile[slot(k, across, RHS_QUADS)];
            let rhs_far = rhs_tile[slot(k, across + RHS_QUADS / 2u, RHS_QUADS)];
            near_sum0 = fma(vec4<f32>(lhs_upper.x), rhs_near, near_sum0);
            far_sum0 = fma(vec4<f32>(lhs_upper.x), rhs_far, far_sum0);
            near_sum1 = fma(vec4<f32>(lhs_upper.y), rhs_near, near_sum1);
            far_sum1 = fma(vec4<f32>(lhs_upper.y), rhs_far, far_sum1);
            near_sum2 = fma(vec4<f32>(lhs_upper.z), rhs_near, near_sum2);
            far_sum2 = fma(vec4<f32>(lhs_upper.z), rhs_far, far_sum2);
            near_sum3 = fma(vec4<f32>(lhs_upper.w), rhs_near, near_sum3);
            far_sum3 = fma(vec4<f32>(lhs_upper.w), rhs_far, far_sum3);
            near_sum4 = fma(vec4<f32>(lhs_lower.x), rhs_near, near_sum4);
            far_sum4 = fma(vec4<f32>(lhs_lower.x), rhs_far, far_sum4);
            near_sum5 = fma(vec4<f32>(lhs_lower.y), rhs_near, near_sum5);
            far_sum5 = fma(vec4<f32>(lhs_lower.y), rhs_far, far_sum5);
            near_sum6 = fma(vec4<f32>(lhs_lower.z), rhs_near, near_sum6);
            far_sum6 = fma(vec4<f32>(lhs_lower.z), rhs_far, far_sum6);
            near_sum7 = fma(vec4<f32>(lhs_lower.w), rhs_near, near_sum7);
            far_sum7 = fma(vec4<f32>(lhs_lower.w), rhs_far, far_sum7);
        }
    }
    let row = first_row(work) + down * 4u;
    let column = first_column(work) + across * 4u;
    let lower_row = row + TILE_ROWS / 2u;
    let far_column = column + TILE_COLUMNS / 2u;
    store_quad(work, row, column, near_sum0);
    store_quad(work, row, far_column, far_sum0);
    store_quad(work, row + 1u, column, near_sum1);
    store_quad(work, row + 1u, far_column, far_sum1);
    store_quad(work, row + 2u, column, near_sum2);
    store_quad(work, row + 2u, far_column, far_sum2);
    store_quad(work, row + 3u, column, near_sum3);
    store_quad(work, row + 3u, far_column, far_sum3);
    store_quad(work, lower_row, column, near_sum4);
    store_quad(work, lower_row, far_column, far_sum4);
    store_quad(work, lower_row + 1u, column, near_sum5);
    store_quad(work, lower_row + 1u, far_column, far_sum5);
    store_quad(work, lower_row + 2u, column, near_sum6);
    store_quad(work, lower_row + 2u, far_column, far_sum6);
    store_quad(work, lower_row + 3u, column, near_sum7);
    store_quad(work, lower_row + 3u, far_column, far_sum7);
    store_row_sums(work, local, row_parts);
}
