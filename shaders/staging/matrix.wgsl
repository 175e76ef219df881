// Slot staging, used by load.
// What matrix products load into their tiles: operands with any strides. Each invocation loads two groups of each operand.
#import family/tiles
#import family/product
#import store/matrix
#import family/lhs_items
#mirror family/lhs_items

struct Cursor {
    lhs0: Place,
    lhs1: Place,
    rhs0: Place,
    rhs1: Place,
}

fn begin(work: Work, local: u32) -> Cursor {
    return Cursor(
        lhs_begin(work, lhs_item(local)),
        lhs_begin(work, lhs_item(local + TOTAL_THREADS)),
        rhs_begin(work, rhs_item(local)),
        rhs_begin(work, rhs_item(local + TOTAL_THREADS)),
    );
}

// How far the next tile is, in inner indices.
alias Step = u32;

fn step_of(work: Work, count: u32) -> Step {
    return count;
}

fn moved(cursor: Cursor, step: Step) -> Cursor {
    return Cursor(
        lhs_moved(cursor.lhs0, step),
        lhs_moved(cursor.lhs1, step),
        rhs_moved(cursor.rhs0, step),
        rhs_moved(cursor.rhs1, step),
    );
}

// Nothing but the cursor tells where the next tile is.
fn prepare(local: u32, cursor: Cursor) {}

fn load_tiles(local: u32, cursor: Cursor) -> Loaded {
    return Loaded(
        load_lhs(cursor.lhs0),
        load_lhs(cursor.lhs1),
        load_rhs(cursor.rhs0),
        load_rhs(cursor.rhs1),
    );
}
