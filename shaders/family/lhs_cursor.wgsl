// Used by family/product.
// Where an invocation reads the left operand next.
fn lhs_cursor(work: Work, row: u32, k: u32) -> OperandCursor {
    return OperandCursor(work.lhs_start + i32(row) * params.lhs_row + i32(k) * params.lhs_inner);
}

// Some inner indices on.
fn lhs_moved(cursor: OperandCursor, count: u32) -> OperandCursor {
    return OperandCursor(cursor.at + i32(count) * params.lhs_inner);
}

// From one inner index to the next.
fn lhs_step() -> i32 {
    return params.lhs_inner;
}
