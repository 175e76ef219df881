// Slot blocks, used by matmul_cooperative.
// How an invocation loads its blocks of both tiles for a convolution: an element at a time.
#import lhs/elements_f16
#import rhs/elements_f16
#import family/matrix_tiles
#import family/convolution_staging

fn begin(work: Work, local: u32) -> Cursor {
    return begin_at(work, local, first_row(work) + lhs_block(local).x * 4u);
}

// Four inner indices of a row.
fn load_lhs_line(address: i32, offsets: vec4<i32>) -> vec4<f16> {
    let at = vec4<u32>(clamp(offsets + address, vec4<i32>(0), vec4<i32>(params.lhs_last)));
    return vec4<f16>(lhs_at(at.x), lhs_at(at.y), lhs_at(at.z), lhs_at(at.w));
}

fn load_lhs_block(address: i32, k: u32) -> Block {
    let offsets = vec4<i32>(lhs_offsets[k], lhs_offsets[k + 1u], lhs_offsets[k + 2u], lhs_offsets[k + 3u]);
    return Block(
        load_lhs_line(address, offsets),
        load_lhs_line(address + params.lhs_row, offsets),
        load_lhs_line(address + 2 * params.lhs_row, offsets),
        load_lhs_line(address + 3 * params.lhs_row, offsets),
    );
}

fn load_rhs_block(columns: Columns, k: u32) -> Block {
    return transposed(Block(
        load_columns(columns, k),
        load_columns(columns, k + 1u),
        load_columns(columns, k + 2u),
        load_columns(columns, k + 3u),
    ));
}

fn load_tiles(local: u32, cursor: Cursor) -> Loaded {
    return Loaded(
        load_lhs_block(cursor.lhs, lhs_block(local).y * 4u),
        load_rhs_block(columns_at(rhs_block(local).x), rhs_block(local).y * 4u),
    );
}
