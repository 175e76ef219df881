// Slot store, used by blocks, convolution_direct, convolution_software, family/convolution_staging, load, matmul_direct, matmul_software, staging.
// How a product stores what it has computed: element by element.
#import family/product

// Whether an invocation's elements are whole groups of four neighbours, stored at once.
const QUADS = false;

// Passes one element to `finish`. With several splits, that is the one of the first pass, which stores partial products apart.
// Kernels may have exchanged the operands, so that what is a row to them is a column of the product.
fn store(work: Work, row: u32, column: u32, value: f32) {
    let at = select(vec2<u32>(row, column), vec2<u32>(column, row), SWAPPED);
    let extent = select(params.columns, params.rows, SWAPPED);
    let matrix = work.split * params.batch + work.batch;
    let index = (matrix * params.rows * params.columns) + at.x * extent + at.y;
    finish(value, index, vec3<u32>(work.batch, at));
}

// Four neighbours along the columns, as far as they are in the product.
fn store_quad(work: Work, row: u32, column: u32, values: vec4<f32>) {
    if row < params.rows {
        for (var c = 0u; c < 4u; c++) {
            if column + c < params.columns {
                store(work, row, column + c, values[c]);
            }
        }
    }
}
