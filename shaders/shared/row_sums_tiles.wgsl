// The sums of rows from what each invocation has brought into the tiles: it always brings the same rows, and a few inner places of each.
#import shared/tiles

fn store_row_sums(work: Work, local: u32, item0: vec2<u32>, sum0: vec4<f32>, item1: vec2<u32>, sum1: vec4<f32>) {
    if !ROW_SUMS || work.tile.y > 0u {
        return;
    }
    workgroupBarrier();
    lhs_tile[slot(item0.y, item0.x, LHS_QUADS)] = sum0;
    lhs_tile[slot(item1.y, item1.x, LHS_QUADS)] = sum1;
    workgroupBarrier();
    if local < LHS_QUADS {
        var sum = vec4<f32>(0.0);
        for (var k = 0u; k < TILE_INNER; k++) {
            sum += lhs_tile[slot(k, local, LHS_QUADS)];
        }
        let row = work.tile.x * TILE_ROWS + local * 4u;
        for (var r = 0u; r < 4u; r++) {
            if row + r < params.rows {
                store_row_sum(work, row + r, sum[r]);
            }
        }
    }
}
