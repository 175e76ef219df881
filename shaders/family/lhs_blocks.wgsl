// Used by load.
// The left operand's blocks of a tile, which are read four neighbours at a time: four groups an invocation. Where neighbours lie along
// the inner dimension, those are four rows and four inner indices, which are transposed in registers.

fn lhs_begin(work: Work, index: u32) -> OperandCursor {
    if LHS_ALONG_INNER {
        let quad = block_of(index);
        return lhs_cursor(work, first_row(work) + quad.x * 4u, work.first + quad.y * 4u);
    }
    let item = lhs_item(index);
    return lhs_cursor(work, first_row(work) + item.x * 4u, work.first + item.y);
}

fn load_lhs_block(cursor: OperandCursor) -> Loaded {
    let at = cursor.at;
    let last = params.lhs_last - 3;
    if LHS_ALONG_INNER {
        let line0 = lhs_quad(clamp(at, 0, last));
        let line1 = lhs_quad(clamp(at + params.lhs_row, 0, last));
        let line2 = lhs_quad(clamp(at + 2 * params.lhs_row, 0, last));
        let line3 = lhs_quad(clamp(at + 3 * params.lhs_row, 0, last));
        return Loaded(
            vec4<f32>(line0.x, line1.x, line2.x, line3.x),
            vec4<f32>(line0.y, line1.y, line2.y, line3.y),
            vec4<f32>(line0.z, line1.z, line2.z, line3.z),
            vec4<f32>(line0.w, line1.w, line2.w, line3.w),
        );
    }
    // Four rows that are neighbours in memory, at four inner indices.
    let step = i32(LOADERS / LHS_QUADS) * lhs_step();
    return Loaded(
        lhs_quad(clamp(at, 0, last)),
        lhs_quad(clamp(at + step, 0, last)),
        lhs_quad(clamp(at + 2 * step, 0, last)),
        lhs_quad(clamp(at + 3 * step, 0, last)),
    );
}

fn first_lhs_block(work: Work, index: u32, loaded: Loaded) -> Loaded {
    let length = first_length(work);
    if LHS_ALONG_INNER {
        if block_of(index).y * 4u >= length {
            return NOTHING;
        }
        return loaded;
    }
    let k = lhs_item(index).y;
    const STEP = LOADERS / LHS_QUADS;
    return Loaded(
        select(vec4<f32>(0.0), loaded.quad0, k < length),
        select(vec4<f32>(0.0), loaded.quad1, k + STEP < length),
        select(vec4<f32>(0.0), loaded.quad2, k + 2u * STEP < length),
        select(vec4<f32>(0.0), loaded.quad3, k + 3u * STEP < length),
    );
}

fn write_lhs_block(index: u32, loaded: Loaded) {
    if LHS_ALONG_INNER {
        let quad = block_of(index);
        let first = quad.y * 4u * LHS_QUADS + quad.x;
        lhs_tile[first] = loaded.quad0;
        lhs_tile[first + LHS_QUADS] = loaded.quad1;
        lhs_tile[first + 2u * LHS_QUADS] = loaded.quad2;
        lhs_tile[first + 3u * LHS_QUADS] = loaded.quad3;
        return;
    }
    // Groups of a tile are numbered as items are.
    lhs_tile[index] = loaded.quad0;
    lhs_tile[index + LOADERS] = loaded.quad1;
    lhs_tile[index + 2u * LOADERS] = loaded.quad2;
    lhs_tile[index + 3u * LOADERS] = loaded.quad3;
}
