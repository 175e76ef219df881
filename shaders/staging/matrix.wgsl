// Slot staging, used by load.
// What matrix products load into their tiles: operands with any strides. Each invocation loads two groups of each operand.
#import family/tiles
#import family/product
#import store/matrix
#import family/lhs_items
#mirror family/lhs_items

struct Cursor {
    lhs: Place,
    rhs: Place,
}

fn begin(work: Work, local: u32) -> Cursor {
    return Cursor(lhs_begin(work, lhs_item(local)), rhs_begin(work, rhs_item(local)));
}

// How far the next tile is, in inner indices.
alias Step = u32;

fn step_of(work: Work, count: u32) -> Step {
    return count;
}

fn moved(cursor: Cursor, step: Step) -> Cursor {
    return Cursor(lhs_moved(cursor.lhs, step), rhs_moved(cursor.rhs, step));
}

// Nothing but the cursor tells where the next tile is.
fn prepare(local: u32, cursor: Cursor) {}

fn load_tiles(local: u32, cursor: Cursor) -> Loaded {
    return Loaded(
        load_lhs(cursor.lhs),
        load_lhs(lhs_moved(cursor.lhs, APART)),
        load_rhs(cursor.rhs),
        load_rhs(rhs_moved(cursor.rhs, APART)),
    );
}
