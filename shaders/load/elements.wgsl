// Slot load, used by family/tile_row_sums, matmul, matmul_small.
// How an invocation loads its part of both tiles: two groups of each operand, an element at a time.
#import staging/matrix

// Groups that an invocation loads at a time: the left operand's, then the right one's.
struct Loaded {
    quad0: vec4<f32>,
    quad1: vec4<f32>,
    quad2: vec4<f32>,
    quad3: vec4<f32>,
}

// The first tile, whose inner indices behind its end count as zeros.
fn load_first(work: Work, local: u32, cursor: Cursor) -> Loaded {
    let loaded = load_tiles(local, cursor);
    let length = first_length(work);
    return Loaded(
        select(vec4<f32>(0.0), loaded.quad0, lhs_item(local).y < length),
        select(vec4<f32>(0.0), loaded.quad1, lhs_item(local).y + APART < length),
        select(vec4<f32>(0.0), loaded.quad2, rhs_item(local).y < length),
        select(vec4<f32>(0.0), loaded.quad3, rhs_item(local).y + APART < length),
    );
}

fn write_lhs_tile(local: u32, loaded: Loaded) {
    let item = lhs_item(local);
    let first = item.y * LHS_QUADS + item.x;
    lhs_tile[first] = loaded.quad0;
    lhs_tile[first + APART * LHS_QUADS] = loaded.quad1;
}

fn write_tiles(local: u32, loaded: Loaded) {
    write_lhs_tile(local, loaded);
    let item = rhs_item(local);
    let first = item.y * RHS_QUADS + item.x;
    rhs_tile[first] = loaded.quad2;
    rhs_tile[first + APART * RHS_QUADS] = loaded.quad3;
}
