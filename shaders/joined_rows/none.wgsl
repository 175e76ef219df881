// Slot joined_rows, used by matmul_sum, matmul_sum_quads.
// Sums of rows beside the partial products that a second pass joins: this default has none.
const ROW_SUMS = false;

fn join_row(row: u32) {}
