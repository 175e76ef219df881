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

fn load_tiles(work: Work, local: u32, first: u32) -> Loaded {
    return Loaded(
        load_lhs(work, lhs_item(local), first),
        load_lhs(work, lhs_item(local + TOTAL_THREADS), first),
        load_rhs(work, rhs_item(local), first),
        load_rhs(work, rhs_item(local + TOTAL_THREADS), first),
    );
}

fn write_lhs_tile(local: u32, loaded: Loaded) {
    let item0 = lhs_item(local);
    let item1 = lhs_item(local + TOTAL_THREADS);
    lhs_tile[slot(item0.y, item0.x, LHS_QUADS)] = loaded.quad0;
    lhs_tile[slot(item1.y, item1.x, LHS_QUADS)] = loaded.quad1;
}

fn write_tiles(local: u32, loaded: Loaded) {
    write_lhs_tile(local, loaded);
    let item0 = rhs_item(local);
    let item1 = rhs_item(local + TOTAL_THREADS);
    rhs_tile[slot(item0.y, item0.x, RHS_QUADS)] = loaded.quad2;
    rhs_tile[slot(item1.y, item1.x, RHS_QUADS)] = loaded.quad3;
}
