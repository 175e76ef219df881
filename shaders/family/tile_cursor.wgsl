// Used by family/block_cursor, load, staging.
// Where an invocation reads both operands next, by their addresses alone. Where it loads one of the two, the other is not used.
struct Cursor {
    lhs: OperandCursor,
    rhs: OperandCursor,
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
fn prepare(local: u32, step: Step) {}
