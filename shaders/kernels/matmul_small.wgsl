// Matrix product for real GPUs, for small products: as `matmul`, with 4 × 4 elements an invocation, which makes more and
// smaller workgroups.
#import load/elements
#import family/tile_row_sums

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
    let tiles = tile_count(work);
    var cursor = begin(work, local);
    var loaded = load_first(work, local, cursor);
    cursor = moved(cursor, step_of(work, first_length(work)));
    let step = step_of(work, TILE_INNER);
    var sums: Sums;
    var row_parts: Loaded;
    for (var tile = 0u; tile < tiles; tile++) {
        workgroupBarrier();
        write_tiles(local, loaded);
        if ROW_SUMS {
            row_parts = added(row_parts, loaded);
        }
        prepare(local, cursor);
        workgroupBarrier();
        if tile + 1u < tiles {
            loaded = load_tiles(local, cursor);
            cursor = moved(cursor, step);
        }
        for (var k = 0u; k < unknown_inner(); k += 4u) {
            let lhs_group = k * LHS_QUADS + down;
            let rhs_group = k * RHS_QUADS + across;
            multiply(&sums, lhs_group, rhs_group);
            multiply(&sums, lhs_group + LHS_QUADS, rhs_group + RHS_QUADS);
            multiply(&sums, lhs_group + 2u * LHS_QUADS, rhs_group + 2u * RHS_QUADS);
            multiply(&sums, lhs_group + 3u * LHS_QUADS, rhs_group + 3u * RHS_QUADS);
        }
    }
    let row = first_row(work) + down * 4u;
    let column = first_column(work) + across * 4u;
    store_quad(work, row, column, sums.row0);
    store_quad(work, row + 1u, column, sums.row1);
    store_quad(work, row + 2u, column, sums.row2);
    store_quad(work, row + 3u, column, sums.row3);
    store_row_sums(work, local, row_parts);
}
