// The elements of another tensor at the indices that a max pool found: an invocation a window. A window without elements gets 0.
#import lhs/elements
#import pool_store/element

struct Params {
    grid_width: u32,
    // Invocations that store.
    count: u32,
    padding: vec2<u32>,
    finish: FinishParams,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> indices: array<i32>;

fn value_at(index: u32) -> f32 {
    let plane = i32(index) / (Z.windows * Y.windows * X.windows);
    let extent = Z.extent * Y.extent * X.extent;
    let found = indices[index];
    var value = 0.0;
    if found >= 0 && found < extent {
        value = lhs_at(u32(plane * extent + found));
    }
    return value;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let number = (group.y * params.grid_width + group.x) * 64u + local;
    if number < params.count {
        store(number);
    }
}
