// How an invocation brings its part of both tiles: two groups of each operand, an element at a time.
#import shared/staging

// Groups that an invocation brings at a time: the left operand's, then the right one's.
struct Brought {
    quad0: vec4<f32>,
    quad1: vec4<f32>,
    quad2: vec4<f32>,
    quad3: vec4<f32>,
}

fn bring(work: Work, local: u32, first: u32) -> Brought {
    return Brought(
        load_lhs(work, lhs_item(local), first),
        load_lhs(work, lhs_item(local + THREADS_IN_ALL), first),
        load_rhs(work, rhs_item(local), first),
        load_rhs(work, rhs_item(local + THREADS_IN_ALL), first),
    );
}

fn put_lhs(local: u32, brought: Brought) {
    let item0 = lhs_item(local);
    let item1 = lhs_item(local + THREADS_IN_ALL);
    lhs_tile[slot(item0.y, item0.x, LHS_QUADS)] = brought.quad0;
    lhs_tile[slot(item1.y, item1.x, LHS_QUADS)] = brought.quad1;
}

fn put(local: u32, brought: Brought) {
    put_lhs(local, brought);
    let item0 = rhs_item(local);
    let item1 = rhs_item(local + THREADS_IN_ALL);
    rhs_tile[slot(item0.y, item0.x, RHS_QUADS)] = brought.quad2;
    rhs_tile[slot(item1.y, item1.x, RHS_QUADS)] = brought.quad3;
}
