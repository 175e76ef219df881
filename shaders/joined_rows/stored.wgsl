// Slot joined_rows, used by family/product_sum.
// Sums of rows, whose parts a second pass joins.
const ROW_SUMS = true;

@group(0) @binding(2) var<storage, read> row_partials: array<f32>;
@group(0) @binding(4) var<storage, read_write> row_sums: array<f32>;

fn join_row(row: u32) {
    let rows = params.count / params.columns;
    if row < rows {
        var sum = 0.0;
        for (var split = 0u; split < params.splits; split++) {
            sum += row_partials[split * rows + row];
        }
        row_sums[row] = sum;
    }
}
