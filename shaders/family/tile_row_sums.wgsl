// Used by family/tile_loop.
// The sums of rows from what each invocation has loaded into the tiles: it always loads the same four rows, and a few inner indices of
// each, which `row_part` adds up.
#import load/elements

fn store_row_sums(work: Work, local: u32, part: vec4<f32>) {
    if !ROW_SUMS || work.tile.y > 0u {
        return;
    }
    workgroupBarrier();
    write_row_part(local, part);
    workgroupBarrier();
    if local < LHS_QUADS {
        var sum = vec4<f32>(0.0);
        for (var k = 0u; k < ROW_PARTS; k++) {
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
