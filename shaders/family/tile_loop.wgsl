// Used by matmul, matmul_small.
// The loop over the tiles of a product: while a tile is worked on, the next one is loaded into registers. A kernel says what an invocation's
// `Sums` are, and how it adds the products of one inner index to them, `multiply`.
#import load/elements
#import family/tile_row_sums

// Adds up all tiles. Returns an invocation's part of the sums of four rows, where those are wanted.
fn sum_tiles(work: Work, local: u32, sums: ptr<function, Sums>) -> vec4<f32> {
    let across = local % ACROSS;
    let down = local / ACROSS;
    let tiles = tile_count(work);
    var cursor = begin(work, local);
    var loaded = load_first(work, local, cursor);
    let first_step = step_of(work, first_length(work));
    workgroupBarrier();
    prepare(local, first_step);
    cursor = moved(cursor, first_step);
    let step = step_of(work, TILE_INNER);
    var rows: vec4<f32>;
    for (var tile = 0u; tile < tiles; tile++) {
        workgroupBarrier();
        write_tiles(local, loaded);
        if ROW_SUMS {
            rows += row_part(loaded);
        }
        if tile > 0u {
            prepare(local, step);
        }
        workgroupBarrier();
        if tile + 1u < tiles {
            loaded = load_tiles(local, cursor);
            cursor = moved(cursor, step);
        }
        for (var k = 0u; k < unknown_inner(); k += 4u) {
            let lhs_group = k * LHS_QUADS + down;
            let rhs_group = k * RHS_QUADS + across;
            multiply(sums, lhs_group, rhs_group);
            multiply(sums, lhs_group + LHS_QUADS, rhs_group + RHS_QUADS);
            multiply(sums, lhs_group + 2u * LHS_QUADS, rhs_group + 2u * RHS_QUADS);
            multiply(sums, lhs_group + 3u * LHS_QUADS, rhs_group + 3u * RHS_QUADS);
        }
    }
    return rows;
}
