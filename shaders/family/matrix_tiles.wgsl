// Used by blocks, family/block_cursor.
// Tiles of both operands of a product in workgroup memory as matrix instructions read them: a line for each row of the left operand and
// each column of the right one, in which inner indices are neighbours. An invocation loads a block of each operand: four lines at
// four inner indices. Neighbouring invocations read along the dimension in which the operand's elements are neighbours.
enable f16;
#import family/tile_steps
#import family/lhs_lines
#mirror family/lhs_lines

const TOTAL_THREADS = TILE_ROWS * TILE_INNER / 16u;
const INNER_QUADS = TILE_INNER / 4u;
// From line to line; a little longer than it has to be, so that lines begin in different banks.
const LINE = TILE_INNER + 8u;

// Scalars, since Metal's matrices are read from those; compilers make vectors of them.
var<workgroup> lhs_tile: array<f16, TILE_ROWS * LINE>;
var<workgroup> rhs_tile: array<f16, TILE_COLUMNS * LINE>;

// Four lines, each of four inner indices.
struct Block {
    line0: vec4<f16>,
    line1: vec4<f16>,
    line2: vec4<f16>,
    line3: vec4<f16>,
}

// What an invocation loads at a time.
struct Loaded {
    lhs: Block,
    rhs: Block,
}

fn transposed(block: Block) -> Block {
    return Block(
        vec4<f16>(block.line0.x, block.line1.x, block.line2.x, block.line3.x),
        vec4<f16>(block.line0.y, block.line1.y, block.line2.y, block.line3.y),
        vec4<f16>(block.line0.z, block.line1.z, block.line2.z, block.line3.z),
        vec4<f16>(block.line0.w, block.line1.w, block.line2.w, block.line3.w),
    );
}

// A block of the first tile, whose inner indices behind its end count as zeros.
fn shortened(block: Block, first: u32, length: u32) -> Block {
    let is_inside = vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(length);
    return Block(
        select(vec4<f16>(), block.line0, is_inside),
        select(vec4<f16>(), block.line1, is_inside),
        select(vec4<f16>(), block.line2, is_inside),
        select(vec4<f16>(), block.line3, is_inside),
    );
}

fn load_first(work: Work, local: u32, cursor: Cursor) -> Loaded {
    let loaded = load_tiles(local, cursor);
    let length = first_length(work);
    return Loaded(
        shortened(loaded.lhs, lhs_block(local).y * 4u, length),
        shortened(loaded.rhs, rhs_block(local).y * 4u, length),
    );
}

fn write_tiles(local: u32, loaded: Loaded) {
    write_lhs_block(local, loaded.lhs);
    write_rhs_block(local, loaded.rhs);
}

// The sum of each row of a block.
fn row_sums_of(block: Block) -> vec4<f32> {
    let across = transposed(block);
    return vec4<f32>(across.line0) + vec4<f32>(across.line1) + (vec4<f32>(across.line2) + vec4<f32>(across.line3));
}
