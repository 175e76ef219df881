// Matrix product for real GPUs: register tiles. Each invocation computes 8 × 8 elements as four blocks of 4 × 4, so that its
// reads of workgroup memory are whole vectors next to its neighbours'. Written out by hand: a loop that a compiler does not unroll would put the sums into memory.
#import family/tile_loop

const ACROSS = TILE_COLUMNS / 8u;
const TOTAL_THREADS = ACROSS * TILE_ROWS / 8u;

// Sums of the invocation's eight rows: four columns in the near half of the tile, and four in its far half.
struct Sums {
    near0: vec4<f32>,
    near1: vec4<f32>,
    near2: vec4<f32>,
    near3: vec4<f32>,
    near4: vec4<f32>,
    near5: vec4<f32>,
    near6: vec4<f32>,
    near7: vec4<f32>,
    far0: vec4<f32>,
    far1: vec4<f32>,
    far2: vec4<f32>,
    far3: vec4<f32>,
    far4: vec4<f32>,
    far5: vec4<f32>,
    far6: vec4<f32>,
    far7: vec4<f32>,
}

// Adds the products of one inner index, whose groups of both tiles begin at these.
fn multiply(sums: ptr<function, Sums>, lhs_group: u32, rhs_group: u32) {
    let lhs_upper = lhs_tile[lhs_group];
    let lhs_lower = lhs_tile[lhs_group + LHS_QUADS / 2u];
    let rhs_near = rhs_tile[rhs_group];
    let rhs_far = rhs_tile[rhs_group + RHS_QUADS / 2u];
    (*sums).near0 = fma(vec4<f32>(lhs_upper.x), rhs_near, (*sums).near0);
    (*sums).far0 = fma(vec4<f32>(lhs_upper.x), rhs_far, (*sums).far0);
    (*sums).near1 = fma(vec4<f32>(lhs_upper.y), rhs_near, (*sums).near1);
    (*sums).far1 = fma(vec4<f32>(lhs_upper.y), rhs_far, (*sums).far1);
    (*sums).near2 = fma(vec4<f32>(lhs_upper.z), rhs_near, (*sums).near2);
    (*sums).far2 = fma(vec4<f32>(lhs_upper.z), rhs_far, (*sums).far2);
    (*sums).near3 = fma(vec4<f32>(lhs_upper.w), rhs_near, (*sums).near3);
    (*sums).far3 = fma(vec4<f32>(lhs_upper.w), rhs_far, (*sums).far3);
    (*sums).near4 = fma(vec4<f32>(lhs_lower.x), rhs_near, (*sums).near4);
    (*sums).far4 = fma(vec4<f32>(lhs_lower.x), rhs_far, (*sums).far4);
    (*sums).near5 = fma(vec4<f32>(lhs_lower.y), rhs_near, (*sums).near5);
    (*sums).far5 = fma(vec4<f32>(lhs_lower.y), rhs_far, (*sums).far5);
    (*sums).near6 = fma(vec4<f32>(lhs_lower.z), rhs_near, (*sums).near6);
    (*sums).far6 = fma(vec4<f32>(lhs_lower.z), rhs_far, (*sums).far6);
    (*sums).near7 = fma(vec4<f32>(lhs_lower.w), rhs_near, (*sums).near7);
    (*sums).far7 = fma(vec4<f32>(lhs_lower.w), rhs_far, (*sums).far7);
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
    let lower_row = row + TILE_ROWS / 2u;
    let far_column = column + TILE_COLUMNS / 2u;
    store_quad(work, row, column, sums.near0);
    store_quad(work, row, far_column, sums.far0);
    store_quad(work, row + 1u, column, sums.near1);
    store_quad(work, row + 1u, far_column, sums.far1);
    store_quad(work, row + 2u, column, sums.near2);
    store_quad(work, row + 2u, far_column, sums.far2);
    store_quad(work, row + 3u, column, sums.near3);
    store_quad(work, row + 3u, far_column, sums.far3);
    store_quad(work, lower_row, column, sums.near4);
    store_quad(work, lower_row, far_column, sums.far4);
    store_quad(work, lower_row + 1u, column, sums.near5);
    store_quad(work, lower_row + 1u, far_column, sums.far5);
    store_quad(work, lower_row + 2u, column, sums.near6);
    store_quad(work, lower_row + 2u, far_column, sums.far6);
    store_quad(work, lower_row + 3u, column, sums.near7);
    store_quad(work, lower_row + 3u, far_column, sums.far7);
    store_row_sums(work, local, row_part);
}
