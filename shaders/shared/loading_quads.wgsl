// Replaces `shared/loading` where both operands can be read four neighbours at a time. Half of the invocations load the left
// operand and half the right one, four groups each. Where neighbours lie along the inner dimension, those are a block of four rows
// and four inner indices, which is transposed on the way.
#import shared/tiles
#import shared/lhs
#import shared/rhs
#import shared/storing

struct Loaded {
    quad0: vec4<f32>,
    quad1: vec4<f32>,
    quad2: vec4<f32>,
    quad3: vec4<f32>,
}

const NOTHING = Loaded(vec4<f32>(0.0), vec4<f32>(0.0), vec4<f32>(0.0), vec4<f32>(0.0));
// Invocations that load an operand.
const LOADERS = TOTAL_THREADS / 2u;

// A block's group of rows or columns, and its group of inner indices.
fn block_of(index: u32) -> vec2<u32> {
    return vec2<u32>(index / (TILE_INNER / 4u), index % (TILE_INNER / 4u));
}

// Over the edge, rows and columns are read again and not stored; inner indices must count as zeros.
fn load_lhs_block(work: Work, index: u32, first: u32) -> Loaded {
    if LHS_ALONG_INNER {
        let quad = block_of(index);
        let k = first + quad.y * 4u;
        let inner = min(k, work.last - 4u);
        let row = work.tile.x * TILE_ROWS + quad.x * 4u;
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
    let row = min(work.tile.x * TILE_ROWS + item.x * 4u, params.rows - 4u);
    let values = lhs_quad(lhs_address(work, row, min(k, work.last - 1u)));
    return select(vec4<f32>(0.0), values, k < work.last);
}

fn load_rhs_block(work: Work, index: u32, first: u32) -> Loaded {
    if RHS_ALONG_INNER {
        let quad = block_of(index);
        let k = first + quad.y * 4u;
        let inner = min(k, work.last - 4u);
        let column = work.tile.y * TILE_COLUMNS + quad.x * 4u;
        let last = params.columns - 1u;
        let line0 = rhs_quad(rhs_address(work, min(column, last), inner));
        let line1 = rhs_quad(rhs_address(work, min(column + 1u, last), inner));
        let line2 = rhs_quad(rhs_address(work, min(column + 2u, last), inner));
        let line3 = rhs_quad(rhs_address(work, min(column + 3u, last), inner));
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
        rhs_group(work, rhs_item(index), first),
        rhs_group(work, rhs_item(index + LOADERS), first),
        rhs_group(work, rhs_item(index + 2u * LOADERS), first),
        rhs_group(work, rhs_item(index + 3u * LOADERS), first),
    );
}

// Four columns that are neighbours in memory, at one inner index.
fn rhs_group(work: Work, item: vec2<u32>, first: u32) -> vec4<f32> {
    let k = first + item.y;
    let column = min(work.tile.y * TILE_COLUMNS + item.x * 4u, params.columns - 4u);
    let values = rhs_quad(rhs_address(work, column, min(k, work.last - 1u)));
    return select(vec4<f32>(0.0), values, k < work.last);
}

fn load_tiles(work: Work, local: u32, first: u32) -> Loaded {
    if local < LOADERS {
        return load_lhs_block(work, local, first);
    }
    return load_rhs_block(work, local - LOADERS, first);
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

fn write_rhs_block(index: u32, loaded: Loaded) {
    if RHS_ALONG_INNER {
        let quad = block_of(index);
        let k = quad.y * 4u;
        rhs_tile[slot(k, quad.x, RHS_QUADS)] = loaded.quad0;
        rhs_tile[slot(k + 1u, quad.x, RHS_QUADS)] = loaded.quad1;
        rhs_tile[slot(k + 2u, quad.x, RHS_QUADS)] = loaded.quad2;
        rhs_tile[slot(k + 3u, quad.x, RHS_QUADS)] = loaded.quad3;
        return;
    }
    let item0 = rhs_item(index);
    let item1 = rhs_item(index + LOADERS);
    let item2 = rhs_item(index + 2u * LOADERS);
    let item3 = rhs_item(index + 3u * LOADERS);
    rhs_tile[slot(item0.y, item0.x, RHS_QUADS)] = loaded.quad0;
    rhs_tile[slot(item1.y, item1.x, RHS_QUADS)] = loaded.quad1;
    rhs_tile[slot(item2.y, item2.x, RHS_QUADS)] = loaded.quad2;
    rhs_tile[slot(item3.y, item3.x, RHS_QUADS)] = loaded.quad3;
}

fn write_lhs_tile(local: u32, loaded: Loaded) {
    if local < LOADERS {
        write_lhs_block(local, loaded);
    }
}

fn write_tiles(local: u32, loaded: Loaded) {
    if local < LOADERS {
        write_lhs_block(local, loaded);
    } else {
        write_rhs_block(local - LOADERS, loaded);
    }
}
