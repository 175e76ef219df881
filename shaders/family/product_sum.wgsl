// Used by matmul_sum, matmul_sum_quads.
// The second pass of a product whose inner dimension was split: adds the partial products in their order, as many neighbours at once as
// there are lanes. WIDTH is their number; `finish_lanes` takes the sums.
#import lanes/one
#import joined_rows/none

struct Params {
    grid_width: u32,
    // Elements of the product, rows and columns; elements and columns are groups of WIDTH.
    count: u32,
    splits: u32,
    rows: u32,
    columns: u32,
    padding0: u32,
    padding1: u32,
    padding2: u32,
    finish: FinishParams,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<Lanes>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = (group.y * params.grid_width + group.x) * 64u + local;
    if index >= params.count {
        if ROW_SUMS {
            join_row(index - params.count);
        }
        return;
    }
    var sum = Lanes(0.0);
    for (var split = 0u; split < params.splits; split++) {
        sum += partials[split * params.count + index];
    }
    let column = index % params.columns;
    let rest = index / params.columns;
    finish_lanes(sum, index, vec3<u32>(rest / params.rows, rest % params.rows, column * WIDTH));
}
