// Used by matmul, matmul_small.
// The sums of rows from what each invocation has loaded into the tiles: it always loads the same rows, and a few inner indices of
// each.
#import load/elements

fn added(a: Loaded, b: Loaded) -> Loaded {
    return Loaded(a.quad0 + b.quad0, a.quad1 + b.quad1, a.quad2 + b.quad2, a.quad3 + b.quad3);
}

fn store_row_sums(work: Work, local: u32, sums: Loaded) {
    if !ROW_SUMS || work.tile.y > 0u {
        return;
    }
    workgroupBarrier();
    write_lhs_tile(local, sums);
    workgroupBarrier();
    if local < LHS_QUADS {
        var sum = vec4<f32>(0.0);
        for (var k = 0u; k < TILE_INNER; k++) {
            sum += lhs_tile[k * LHS_QUADS + local];
        }
        let row = first_row(work) + local * 4u;
        for (var r = 0u; r < 4u; r++) {
            if row + r < params.rows {
                store_row_sum(work, row + r, sum[r]);
            }
        }
    }
}
