// Used by load.
// The left operand's blocks of a tile, which are read four neighbours at a time: four groups an invocation. Where neighbours lie along
// the inner dimension, those are four rows and four inner indices, which are transposed in registers.

// Over the edge, rows are read again and not stored; inner indices must count as zeros.
fn load_lhs_block(work: Work, index: u32, first: u32) -> Loaded {
    if LHS_ALONG_INNER {
        let quad = block_of(index);
        let k = first + quad.y * 4u;
        let inner = min(k, work.last - 4u);
        let row = first_row(work) + quad.x * 4u;
        let last = params.rows - 1u;
        let line0 = lhs_quad(lhs_address(work, min(row, last), inner));
        let line1 = lhs_quad(lhs_address(work, min(row + 1u, last), inner));
        let line2 = lhs_quad(lhs_address(work, min(row + 2u, last), inner));
        let line3 = lhs_quad(lhs_address(work, min(row + 3u, last), inner));
        if k >= work.last {
            return NOTHING;
        }
        return Loaded(
            vec4<f32>(line0.x, line1.x, line2.x, line3.x),
            vec4<f32>(line0.y, line1.y, line2.y, line3.y),
            vec4<f32>(line0.z, line1.z, line2.z, line3.z),
            vec4<f32>(line0.w, line1.w, line2.w, line3.w),
        );
    }
    return Loaded(
        lhs_group(work, lhs_item(index), first),
        lhs_group(work, lhs_item(index + LOADERS), first),
        lhs_group(work, lhs_item(index + 2u * LOADERS), first),
        lhs_group(work, lhs_item(index + 3u * LOADERS), first),
    );
}

// Four rows that are neighbours in memory, at one inner index.
fn lhs_group(work: Work, item: vec2<u32>, first: u32) -> vec4<f32> {
    let k = first + item.y;
    let row = min(first_row(work) + item.x * 4u, params.rows - 4u);
    let values = lhs_quad(lhs_address(work, row, min(k, work.last - 1u)));
    return select(vec4<f32>(0.0), values, k < work.last);
}

fn write_lhs_block(index: u32, loaded: Loaded) {
    if LHS_ALONG_INNER {
        let quad = block_of(index);
        let k = quad.y * 4u;
        lhs_tile[slot(k, quad.x, LHS_QUADS)] = loaded.quad0;
        lhs_tile[slot(k + 1u, quad.x, LHS_QUADS)] = loaded.quad1;
        lhs_tile[slot(k + 2u, quad.x, LHS_QUADS)] = loaded.quad2;
        lhs_tile[slot(k + 3u, quad.x, LHS_QUADS)] = loaded.quad3;
        return;
    }
    let item0 = lhs_item(index);
    let item1 = lhs_item(index + LOADERS);
    let item2 = lhs_item(index + 2u * LOADERS);
    let item3 = lhs_item(index + 3u * LOADERS);
    lhs_tile[slot(item0.y, item0.x, LHS_QUADS)] = loaded.quad0;
    lhs_tile[slot(item1.y, item1.x, LHS_QUADS)] = loaded.quad1;
    lhs_tile[slot(item2.y, item2.x, LHS_QUADS)] = loaded.quad2;
    lhs_tile[slot(item3.y, item3.x, LHS_QUADS)] = loaded.quad3;
}
