// Slot store, used by blocks, convolution_direct, convolution_software, family/convolution_staging, load, matmul_direct, matmul_software, staging.
// How a product whose rows are whole groups of four elements stores them: `finish_quad` takes each at once.
#import family/product

const QUADS = true;

fn store_quad(work: Work, row: u32, column: u32, values: vec4<f32>) {
    if row < params.rows && column < params.columns {
        let matrix = work.split * params.batch + work.batch;
        let index = (matrix * params.rows + row) * params.columns + column;
        finish_quad(values, index / 4u, vec3<u32>(work.batch, row, column));
    }
}

// No element is stored alone.
fn store(work: Work, row: u32, column: u32, value: f32) {}
