// Used by blocks.
// A block of the left operand, which is read four neighbours at a time.

fn load_lhs_block(cursor: OperandCursor) -> Block {
    let at = cursor.at;
    let last = params.lhs_last - 3;
    let step = select(lhs_step(), params.lhs_row, LHS_ALONG_INNER);
    let read = Block(
        lhs_quad(clamp(at, 0, last)),
        lhs_quad(clamp(at + step, 0, last)),
        lhs_quad(clamp(at + 2 * step, 0, last)),
        lhs_quad(clamp(at + 3 * step, 0, last)),
    );
    if LHS_ALONG_INNER {
        return read;
    }
    return transposed(read);
}
