// The sum of each window: an invocation a window, which reads its elements in order.
#import shared/finish
#import shared/windows

struct Params {
    grid_width: u32,
    // Windows in all.
    count: u32,
    // The last two extents of the result.
    rows: u32,
    columns: u32,
    axes: array<Axis, 3>,
    finish: FinishParams,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<Value>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = (group.y * params.grid_width + group.x) * 64u + local;
    if index >= params.count {
        return;
    }
    let z = params.axes[0];
    let y = params.axes[1];
    let x = params.axes[2];
    let place = place_of(index, vec3<i32>(z.windows, y.windows, x.windows));
    let start = place.plane * (z.extent * y.extent * x.extent);
    let planes = window(z, place.at.x);
    let rows = window(y, place.at.y);
    let columns = window(x, place.at.z);
    var sum = Value(0);
    for (var k = planes.x; k < planes.y; k += z.dilation) {
        for (var j = rows.x; j < rows.y; j += y.dilation) {
            let row = start + (k * y.extent + j) * x.extent;
            for (var i = columns.x; i < columns.y; i += x.dilation) {
                sum += source[row + i];
            }
        }
    }
    let rest = index / params.columns;
    finish(sum, index, vec3<u32>(rest / params.rows, rest % params.rows, index % params.columns));
}
