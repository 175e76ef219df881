// Used by load, staging.
// Tiles of both operands of a product in workgroup memory. A tile is stored by inner index, its other dimension in groups of four;
// each invocation loads one or two groups of each operand, of the same rows or columns. Neighbouring invocations read along the dimension in which the operand's
// elements are neighbours, whichever that is: transposes need no pass of their own.
#import family/tile_steps

const LHS_QUADS = TILE_ROWS / 4u;
const RHS_QUADS = TILE_COLUMNS / 4u;

var<workgroup> lhs_tile: array<vec4<f32>, TILE_INNER * LHS_QUADS>;
var<workgroup> rhs_tile: array<vec4<f32>, TILE_INNER * RHS_QUADS>;

// Groups of each operand that an invocation loads, and inner indices between two of them.
const GROUPS = max(TILE_ROWS * TILE_INNER / (4u * TOTAL_THREADS), 1u);
const APART = TILE_INNER / GROUPS;

// An invocation's group of rows, and the inner index of the first one that it loads of it. Along the inner dimension, four groups are
// next to each other, so that writing them to the tile has few conflicts of banks.
fn lhs_item(local: u32) -> vec2<u32> {
    let along_inner = vec2<u32>(local % 4u + local / (4u * APART) * 4u, local / 4u % APART);
    return select(vec2<u32>(local % LHS_QUADS, local / LHS_QUADS), along_inner, LHS_ALONG_INNER);
}

fn rhs_item(local: u32) -> vec2<u32> {
    let along_inner = vec2<u32>(local % 4u + local / (4u * APART) * 4u, local / 4u % APART);
    return select(vec2<u32>(local % RHS_QUADS, local / RHS_QUADS), along_inner, RHS_ALONG_INNER);
}

// TILE_INNER, which a compiler does not know to be that: it unrolls no loop that ends here, which is unrolled enough.
fn unknown_inner() -> u32 {
    return TILE_INNER + params.zero;
}
