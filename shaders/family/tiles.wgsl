// Used by load, staging.
// Tiles of both operands of a product in workgroup memory. A tile is stored by inner index, its other dimension in groups of four;
// each invocation loads two groups of each operand. Neighbouring invocations read along the dimension in which the operand's
// elements are neighbours, whichever that is: transposes need no pass of their own.
#import constants/tiles

const LHS_QUADS = TILE_ROWS / 4u;
const RHS_QUADS = TILE_COLUMNS / 4u;

var<workgroup> lhs_tile: array<vec4<f32>, TILE_INNER * LHS_QUADS>;
var<workgroup> rhs_tile: array<vec4<f32>, TILE_INNER * RHS_QUADS>;

// Groups of consecutive inner indices are in different banks, so that writing along the inner dimension has no conflicts.
fn slot(k: u32, quad: u32, quads: u32) -> u32 {
    return k * quads + (quad ^ (k & 7u));
}

// Group and inner index of an item.
fn lhs_item(item: u32) -> vec2<u32> {
    let along_inner = vec2<u32>(item / TILE_INNER, item % TILE_INNER);
    return select(vec2<u32>(item % LHS_QUADS, item / LHS_QUADS), along_inner, LHS_ALONG_INNER);
}

fn rhs_item(item: u32) -> vec2<u32> {
    let along_inner = vec2<u32>(item / TILE_INNER, item % TILE_INNER);
    return select(vec2<u32>(item % RHS_QUADS, item / RHS_QUADS), along_inner, RHS_ALONG_INNER);
}

// The first row and column of a workgroup's tile.
fn first_row(work: Work) -> u32 {
    return work.tile.x * TILE_ROWS;
}

fn first_column(work: Work) -> u32 {
    return work.tile.y * TILE_COLUMNS;
}
