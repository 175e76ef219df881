// Used by staging.
// A group of the left operand with any strides, an element at a time: four rows at one inner index.

fn lhs_begin(work: Work, item: vec2<u32>) -> OperandCursor {
    return lhs_cursor(work, first_row(work) + item.x * 4u, work.first + item.y);
}

fn load_lhs(cursor: OperandCursor) -> vec4<f32> {
    let last = vec4<i32>(params.lhs_last);
    let at = vec4<u32>(clamp(cursor.at + vec4<i32>(0, 1, 2, 3) * params.lhs_row, vec4<i32>(0), last));
    return vec4<f32>(lhs_at(at.x), lhs_at(at.y), lhs_at(at.z), lhs_at(at.w));
}
