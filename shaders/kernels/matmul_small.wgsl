// Matrix product for real GPUs, for small products: as `matmul`, with 4 × 4 elements an invocation, which makes more and
// smaller workgroups.
#import load/elements
#import family/tile_row_sums

const ACROSS = TILE_COLUMNS / 4u;
const TOTAL_THREADS = ACROSS * TILE_ROWS / 4u;

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
    var sum0 = vec4<f32>(0.0);
    var sum1 = vec4<f32>(0.0);
    var sum2 = vec4<f32>(0.0);
    var sum3 = vec4<f32>(0.0);
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
            let a = lhs_tile[slot(k, down, LHS_QUADS)];
            let b = rhs_tile[slot(k, across, RHS_QUADS)];
            sum0 = fma(vec4<f32>(a.x), b, sum0);
            sum1 = fma(vec4<f32>(a.y), b, sum1);
            sum2 = fma(vec4<f32>(a.z), b, sum2);
            sum3 = fma(vec4<f32>(a.w), b, sum3);
        }
    }
    let row = first_row(work) + down * 4u;
    let column = first_column(work) + across * 4u;
    store_quad(work, row, column, sum0);
    store_quad(work, row + 1u, column, sum1);
    store_quad(work, row + 2u, column, sum2);
    store_quad(work, row + 3u, column, sum3);
    store_row_sums(work, local, row_parts);
}
