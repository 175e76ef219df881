// The largest element of each window, and its place in the plane: an invocation a window, which reads its elements in order.
// The first of equals counts; a NaN wins, the last of several.
#import shared/element
#import shared/windows
#import shared/not_a_number

struct Params {
    grid_width: u32,
    // Windows in all.
    count: u32,
    // The bits of what is less than every number: for windows without elements.
    lowest: u32,
    padding0: u32,
    axes: array<Axis, 3>,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<Value>;
@group(0) @binding(2) var<storage, read_write> values: array<Value>;
@group(0) @binding(3) var<storage, read_write> places: array<i32>;

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
    var best = bitcast<f32>(params.lowest);
    var found = -1;
    for (var k = planes.x; k < planes.y; k += z.dilation) {
        for (var j = rows.x; j < rows.y; j += y.dilation) {
            let row = (k * y.extent + j) * x.extent;
            for (var i = columns.x; i < columns.y; i += x.dilation) {
                let value = source[start + row + i];
                if found < 0 || is_nan(value) || (value > best && !is_nan(best)) {
                    best = value;
                    found = row + i;
                }
            }
        }
    }
    values[index] = best;
    places[index] = found;
}
