// Slot load, used by family/tile_row_sums, matmul, matmul_small.
// How an invocation loads its part of both tiles where both operands can be read four neighbours at a time: half of the invocations load
// the left operand and half the right one, four groups each.
#import family/tiles
#import lhs/quads
#import rhs/quads
#import store/matrix
#import family/lhs_blocks
#mirror family/lhs_blocks

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

fn load_tiles(work: Work, local: u32, first: u32) -> Loaded {
    if local < LOADERS {
        return load_lhs_block(work, local, first);
    }
    return load_rhs_block(work, local - LOADERS, first);
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
