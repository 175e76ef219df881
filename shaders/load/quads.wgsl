// Slot load, used by family/tile_loop, family/tile_row_sums.
// How an invocation loads its part of both tiles where both operands can be read four neighbours at a time: half of the invocations load
// the left operand and half the right one, four groups each.
#import family/tiles
#import lhs/quads
#import rhs/quads
#import store/matrix
#import family/lhs_blocks
#mirror family/lhs_blocks
#import family/tile_cursor

struct Loaded {
    quad0: vec4<f32>,
    quad1: vec4<f32>,
    quad2: vec4<f32>,
    quad3: vec4<f32>,
}

const NOTHING = Loaded(vec4<f32>(0.0), vec4<f32>(0.0), vec4<f32>(0.0), vec4<f32>(0.0));
// Invocations that load an operand.
const LOADERS = TOTAL_THREADS / 2u;
// Groups of inner indices.
const INNER_QUADS = TILE_INNER / 4u;

// A block's group of rows or columns, and its group of inner indices: eight of the former next to each other, which are written to as many
// banks.
fn block_of(index: u32) -> vec2<u32> {
    return vec2<u32>(index % 8u + index / (8u * INNER_QUADS) * 8u, index / 8u % INNER_QUADS);
}

fn begin(work: Work, local: u32) -> Cursor {
    return Cursor(lhs_begin(work, local % LOADERS), rhs_begin(work, local % LOADERS));
}

fn load_tiles(local: u32, cursor: Cursor) -> Loaded {
    if local < LOADERS {
        return load_lhs_block(cursor.lhs);
    }
    return load_rhs_block(cursor.rhs);
}

// The first tile, whose inner indices behind its end count as zeros.
fn load_first(work: Work, local: u32, cursor: Cursor) -> Loaded {
    let loaded = load_tiles(local, cursor);
    if local < LOADERS {
        return first_lhs_block(work, local, loaded);
    }
    return first_rhs_block(work, local - LOADERS, loaded);
}

fn write_tiles(local: u32, loaded: Loaded) {
    if local < LOADERS {
        write_lhs_block(local, loaded);
    } else {
        write_rhs_block(local - LOADERS, loaded);
    }
}

// Invocations that load the same rows.
const ROW_PARTS = INNER_QUADS;

fn row_part(loaded: Loaded) -> vec4<f32> {
    return (loaded.quad0 + loaded.quad1) + (loaded.quad2 + loaded.quad3);
}

fn write_row_part(local: u32, part: vec4<f32>) {
    if local < LOADERS {
        let item = block_of(local);
        lhs_tile[select(local, item.y * LHS_QUADS + item.x, LHS_ALONG_INNER)] = part;
    }
}
