// A sparse linear map along one axis: each result is a sum of few elements with weights, named by a table. An invocation a
// result. The tensor is `outer × length × inner`.
#import finish/element

struct Params {
    grid_width: u32,
    // Results in all.
    count: u32,
    // Elements of the axis before and after.
    length: u32,
    results: u32,
    inner: u32,
    // The last two extents of the result.
    rows: u32,
    columns: u32,
    // Entries of the table.
    entries: u32,
    finish: FinishParams,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<Value>;
// Where each result's part begins, and an end behind the last; then indices; then weights, as the bits of floats.
@group(0) @binding(2) var<storage, read> table: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = (group.y * params.grid_width + group.x) * 64u + local;
    if index >= params.count {
        return;
    }
    let inner = index % params.inner;
    let line = index / params.inner;
    let start = line / params.results * params.length;
    let number = line % params.results;
    var sum = 0.0;
    let end = u32(table[number + 1u]);
    let indices = params.results + 1u;
    let weights = indices + params.entries;
    for (var k = u32(table[number]); k < end; k++) {
        let source_index = start + u32(table[indices + k]);
        sum += bitcast<f32>(table[weights + k]) * source[source_index * params.inner + inner];
    }
    let rest = index / params.columns;
    finish(sum, index, vec3<u32>(rest / params.rows, rest % params.rows, index % params.columns));
}
