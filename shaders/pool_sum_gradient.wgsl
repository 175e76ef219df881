// The gradient of a pool of sums: an invocation an element, which adds up, in order, what arrives at the windows over it.
#import shared/finish
#import shared/windows

struct Params {
    grid_width: u32,
    // Elements in all.
    count: u32,
    // The last two extents of the result.
    rows: u32,
    columns: u32,
    axes: array<Axis, 3>,
    finish: FinishParams,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> upstream: array<Value>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = (group.y * params.grid_width + group.x) * 64u + local;
    if index >= params.count {
        return;
    }
    let z = params.axes[0];
    let y = params.axes[1];
    let x = params.axes[2];
    let place = place_of(index, vec3<i32>(z.extent, y.extent, x.extent));
    let start = place.plane * (z.windows * y.windows * x.windows);
    let planes = windows_over(z, place.at.x);
    let rows = windows_over(y, place.at.y);
    let columns = windows_over(x, place.at.z);
    var sum = Value(0);
    for (var k = planes.x; k <= planes.y; k++) {
        if !lies_on(z, k, place.at.x) {
            continue;
        }
        for (var j = rows.x; j <= rows.y; j++) {
            if !lies_on(y, j, place.at.y) {
                continue;
            }
            let row = start + (k * y.windows + j) * x.windows;
            for (var i = columns.x; i <= columns.y; i++) {
                if lies_on(x, i, place.at.z) {
                    sum += upstream[row + i];
                }
            }
        }
    }
    let rest = index / params.columns;
    finish(sum, index, vec3<u32>(rest / params.rows, rest % params.rows, index % params.columns));
}
