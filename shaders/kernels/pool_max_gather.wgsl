// The elements of another tensor at the indices that a max pool found: an invocation a window. A window without elements gets 0.
#import finish/element
#import family/windows

struct Params {
    grid_width: u32,
    // Windows in all.
    count: u32,
    padding: vec2<u32>,
    finish: FinishParams,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<Value>;
@group(0) @binding(2) var<storage, read> indices: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = (group.y * params.grid_width + group.x) * 64u + local;
    if index >= params.count {
        return;
    }
    let plane = i32(index) / (Z.windows * Y.windows * X.windows);
    let extent = Z.extent * Y.extent * X.extent;
    let found = indices[index];
    var value = Value(0);
    if found >= 0 && found < extent {
        value = source[plane * extent + found];
    }
    finish(value, index, result_position(index));
}
