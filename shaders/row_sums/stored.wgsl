// Slot row_sums, used by family/convolution, family/product.
// Sums of rows that are wanted. Of several splits, each stores its own.
const ROW_SUMS = true;

@group(0) @binding(4) var<storage, read_write> row_sums: array<f32>;

fn store_row_sum(work: Work, row: u32, sum: f32) {
    row_sums[(work.split * params.batch + work.batch) * params.rows + row] = sum;
}
