// Slot store, used by blocks, convolution_direct, convolution_software, family/convolution_staging, load, matmul_direct, matmul_software, staging.
// How a convolution stores its result where rows or planes are whole groups of four elements, and neighbouring columns are neighbours in it:
// `finish_quad` takes them at once.
#import family/convolution_result

const QUADS = true;

fn store_quad(work: Work, row: u32, column: u32, values: vec4<f32>) {
    if row < params.rows && column < params.columns {
        let found = result_position(work, row, split_column(column));
        if found.inside {
            finish_quad(values, found.index / 4u, found.at);
        }
    }
}

// No element is stored alone.
fn store(work: Work, row: u32, position: vec4<u32>, value: f32) {}
