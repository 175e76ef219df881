// Slot row_sums, used by family/convolution, family/product.
// Sums of the left operand's rows over the inner dimension, which a product may compute as it reads them anyway (a bias's gradient
// beside its weight's). This default has none.
const ROW_SUMS = false;

fn store_row_sum(work: Work, row: u32, sum: f32) {}
