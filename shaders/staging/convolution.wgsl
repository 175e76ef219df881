// Slot staging, used by load.
// What convolutions load into the tiles of a product, so that the kernels with register tiles are those of matrix products.
#import family/tiles
#import family/convolution_source
#import store/convolution

// Four rows at one inner index. Over the edge, rows are read again and not stored; inner indices must count as zeros.
fn load_lhs(work: Work, item: vec2<u32>, first: u32) -> vec4<f32> {
    let k = first + item.y;
    let row = first_row(work) + item.x * 4u;
    let start = work.lhs_start + inner_offset(work, min(k, work.last - 1u)).lhs;
    let rows = min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(params.rows - 1u));
    let at = vec4<u32>(start + vec4<i32>(rows) * params.lhs_row);
    let values = vec4<f32>(lhs_at(at.x), lhs_at(at.y), lhs_at(at.z), lhs_at(at.w));
    return select(vec4<f32>(0.0), values, k < work.last);
}

fn load_rhs(work: Work, item: vec2<u32>, first: u32) -> vec4<f32> {
    let k = first + item.y;
    let inner = inner_offset(work, min(k, work.last - 1u));
    let column = first_column(work) + item.x * 4u;
    let extents = column_extents();
    let start = work.rhs_start + inner.address;
    var position = split_column(min(column, params.columns - 1u));
    var values = vec4<f32>(0.0);
    for (var c = 0u; c < 4u; c++) {
        let found = column_offset(work, position);
        values[c] = load_source(start + found.address, found.at + inner.at);
        if column + c + 1u < params.columns {
            position = next_position(position, extents);
        }
    }
    return select(vec4<f32>(0.0), values, k < work.last);
}
