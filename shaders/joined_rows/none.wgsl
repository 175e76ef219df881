// Slot joined_rows, used by family/product_sum.
// Sums of rows beside the partial products that a second pass joins: this default has none.
const ROW_SUMS = false;

fn join_row(row: u32) {}
