// Used by staging.
// A group of the left operand with any strides, an element at a time: four rows at one inner index. Over the edge, rows are read again and
// not stored; inner indices must count as zeros.
fn load_lhs(work: Work, item: vec2<u32>, first: u32) -> vec4<f32> {
    let k = first + item.y;
    let row = first_row(work) + item.x * 4u;
    let start = work.lhs_start + i32(min(k, work.last - 1u)) * params.lhs_inner;
    let rows = min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(params.rows - 1u));
    let at = vec4<u32>(start + vec4<i32>(rows) * params.lhs_row);
    let values = vec4<f32>(lhs_at(at.x), lhs_at(at.y), lhs_at(at.z), lhs_at(at.w));
    return select(vec4<f32>(0.0), values, k < work.last);
}
