// Sorts short lines: each element counts those that come before it.
#import family/sort

@group(0) @binding(1) var<storage, read> source: array<Value>;
@group(0) @binding(2) var<storage, read_write> values: array<Value>;
@group(0) @binding(3) var<storage, read_write> indices: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = (group.y * params.grid_width + group.x) * 64u + local;
    if index >= params.lines * params.length {
        return;
    }
    let position = index % params.length;
    let start = index - position;
    let mine = source[index];
    let key = pair_of(mine, position).x;
    var rank = 0u;
    for (var k = 0u; k < params.length; k++) {
        let other = pair_of(source[start + k], k).x;
        rank += select(0u, 1u, other < key || (other == key && k < position));
    }
    values[start + rank] = mine;
    indices[start + rank] = i32(position);
}
