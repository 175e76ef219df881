// Replaces `shared/convolution_storing` where rows of the result are whole groups of four elements, and neighbouring columns are
// neighbours in it: `finish_quad` takes them at once.
#import shared/convolution_result

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
