// Slot load, used by family/tile_loop, family/tile_row_sums.
// How an invocation loads its part of both tiles: one or two groups of each operand, an element at a time.
#import staging/matrix

// Groups that an invocation loads at a time: the left operand's, then the right one's. Where it loads one of each, the second ones are zeros.
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

fn write_tiles(local: u32, loaded: Loaded) {
    let lhs = lhs_item(local);
    let rhs = rhs_item(local);
    let lhs_first = lhs.y * LHS_QUADS + lhs.x;
    let rhs_first = rhs.y * RHS_QUADS + rhs.x;
    lhs_tile[lhs_first] = loaded.quad0;
    rhs_tile[rhs_first] = loaded.quad2;
    if GROUPS > 1u {
        lhs_tile[lhs_first + APART * LHS_QUADS] = loaded.quad1;
        rhs_tile[rhs_first + APART * RHS_QUADS] = loaded.quad3;
    }
}

// Invocations that load the same rows.
const ROW_PARTS = APART;

fn row_part(loaded: Loaded) -> vec4<f32> {
    return loaded.quad0 + loaded.quad1;
}

fn write_row_part(local: u32, part: vec4<f32>) {
    let item = lhs_item(local);
    lhs_tile[item.y * LHS_QUADS + item.x] = part;
}
