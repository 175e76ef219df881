// Second pass of a product whose inner dimension was split: adds the partial products in their order.
#import finish/element
#import joined_rows/none

struct Params {
    grid_width: u32,
    // Elements of the product.
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
@group(0) @binding(1) var<storage, read> partials: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = (group.y * params.grid_width + group.x) * 64u + local;
    if index >= params.count {
        if ROW_SUMS {
            join_row(index - params.count);
        }
        return;
    }
    var sum = 0.0;
    for (var split = 0u; split < params.splits; split++) {
        sum += partials[split * params.count + index];
    }
    let column = index % params.columns;
    let rest = index / params.columns;
    finish(sum, index, vec3<u32>(rest / params.rows, rest % params.rows, column));
}
