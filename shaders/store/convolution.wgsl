// Slot store, used by blocks, convolution_direct, convolution_software, family/convolution_staging, load, matmul_direct, matmul_software, staging.
// How a convolution stores what it has computed: element by element.
#import family/convolution_result

// Whether an invocation's elements are whole groups of four neighbours, stored at once.
const QUADS = false;

// Passes one element to `finish`. With several splits, that is the one of the first pass, which stores partial sums apart.
fn store(work: Work, row: u32, position: vec4<u32>, value: f32) {
    let found = result_position(work, row, position);
    if found.inside {
        finish(value, found.index, found.at);
    }
}

// Four neighbouring columns, or those of them that exist.
fn store_quad(work: Work, row: u32, column: u32, values: vec4<f32>) {
    if row < params.rows && column < params.columns {
        let extents = column_extents();
        var position = split_column(column);
        for (var c = 0u; c < 4u; c++) {
            if column + c < params.columns {
                store(work, row, position, values[c]);
                position = next_position(position, extents);
            }
        }
    }
}
