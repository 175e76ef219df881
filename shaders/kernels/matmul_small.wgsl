// Matrix product for real GPUs, for small products: as `matmul`, with 4 × 4 elements an invocation, which makes more and
// smaller workgroups.
#import family/tile_loop

const ACROSS = TILE_COLUMNS / 4u;
const TOTAL_THREADS = ACROSS * TILE_ROWS / 4u;

struct Sums {
    row0: vec4<f32>,
    row1: vec4<f32>,
    row2: vec4<f32>,
    row3: vec4<f32>,
}

// Adds the products of one inner index, whose groups of both tiles begin at these.
fn multiply(sums: ptr<function, Sums>, lhs_group: u32, rhs_group: u32) {
    let a = lhs_tile[lhs_group];
    let b = rhs_tile[rhs_group];
    (*sums).row0 = fma(vec4<f32>(a.x), b, (*sums).row0);
    (*sums).row1 = fma(vec4<f32>(a.y), b, (*sums).row1);
    (*sums).row2 = fma(vec4<f32>(a.z), b, (*sums).row2);
    (*sums).row3 = fma(vec4<f32>(a.w), b, (*sums).row3);
}

@compute @workgroup_size(TOTAL_THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let number = group.y * params.grid_width + group.x;
    if !has_work(number) {
        return;
    }
    let work = work_of(number);
    let across = local % ACROSS;
    let down = local / ACROSS;
    var sums: Sums;
    let row_part = sum_tiles(work, local, &sums);
    let row = first_row(work) + down * 4u;
    let column = first_column(work) + across * 4u;
    store_quad(work, row, column, sums.row0);
    store_quad(work, row + 1u, column, sums.row1);
    store_quad(work, row + 2u, column, sums.row2);
    store_quad(work, row + 3u, column, sums.row3);
    store_row_sums(work, local, row_part);
}
