// Positions of values in rows that are in order: a binary search each.
#import element/f32
#import sort_key/f32

struct Params {
    grid_width: u32,
    values: u32,
    // Values of each row, and a row's elements.
    per_row: u32,
    length: u32,
    right: u32,
    padding0: u32,
    padding1: u32,
    padding2: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sorted: array<Value>;
@group(0) @binding(2) var<storage, read> values: array<Value>;
@group(0) @binding(3) var<storage, read_write> positions: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = (group.y * params.grid_width + group.x) * 64u + local;
    if index >= params.values {
        return;
    }
    let start = index / params.per_row * params.length;
    let mine = sort_key(values[index]);
    var low = 0u;
    var high = params.length;
    while low < high {
        let middle = (low + high) / 2u;
        let key = sort_key(sorted[start + middle]);
        if key < mine || (key == mine && params.right != 0u) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    positions[index] = i32(low);
}
