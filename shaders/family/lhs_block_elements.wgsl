// Used by blocks.
// A block of the left operand with any strides, which is read an element at a time.

fn load_lhs_line(first: i32) -> vec4<f16> {
    let at = vec4<u32>(clamp(first + vec4<i32>(0, 1, 2, 3) * lhs_step(), vec4<i32>(0), vec4<i32>(params.lhs_last)));
    return vec4<f16>(lhs_at(at.x), lhs_at(at.y), lhs_at(at.z), lhs_at(at.w));
}

fn load_lhs_block(cursor: OperandCursor) -> Block {
    let at = cursor.at;
    return Block(
        load_lhs_line(at),
        load_lhs_line(at + params.lhs_row),
        load_lhs_line(at + 2 * params.lhs_row),
        load_lhs_line(at + 3 * params.lhs_row),
    );
}
