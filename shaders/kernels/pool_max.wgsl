// The largest element of each window, and its index in the plane: an invocation a window, which reads its elements in order.
// The first of equals counts; a NaN wins, the last of several.
#import element/f32
#import lhs/elements
#import family/windows
#import nan/floats

struct Params {
    grid_width: u32,
    // Windows in all.
    count: u32,
    // The bits of what is less than every number: for windows without elements.
    lowest: u32,
    padding: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> values: array<Value>;
@group(0) @binding(3) var<storage, read_write> indices: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = (group.y * params.grid_width + group.x) * 64u + local;
    if index >= params.count {
        return;
    }
    let position = position_of(index, vec3<i32>(Z.windows, Y.windows, X.windows));
    let start = position.plane * (Z.extent * Y.extent * X.extent);
    let planes = window(Z, position.at.x);
    let rows = window(Y, position.at.y);
    let columns = window(X, position.at.z);
    var best = bitcast<f32>(params.lowest);
    var found = -1;
    // Iteration counts are constants, so that small windows need no loops.
    for (var k = 0; k < Z.longest; k++) {
        let plane = planes.x + k * Z.dilation;
        for (var j = 0; j < Y.longest; j++) {
            let row = rows.x + j * Y.dilation;
            for (var i = 0; i < X.longest; i++) {
                let column = columns.x + i * X.dilation;
                if plane < planes.y && row < rows.y && column < columns.y {
                    let inside = (plane * Y.extent + row) * X.extent + column;
                    let value = lhs_at(u32(start + inside));
                    if found < 0 || is_nan(value) || (value > best && !is_nan(best)) {
                        best = value;
                        found = inside;
                    }
                }
            }
        }
    }
    values[index] = best;
    indices[index] = found;
}
