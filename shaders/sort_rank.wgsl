// Sorts short lines: each element counts those that come before it.
#import shared/sorting

@group(0) @binding(1) var<storage, read> source: array<Value>;
@group(0) @binding(2) var<storage, read_write> values: array<Value>;
@group(0) @binding(3) var<storage, read_write> places: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = (group.y * params.grid_width + group.x) * 64u + local;
    if index >= params.lines * params.length {
        return;
    }
    let place = index % params.length;
    let start = index - place;
    let mine = source[index];
    let key = pair_of(mine, place).x;
    var rank = 0u;
    for (var k = 0u; k < params.length; k++) {
        let other = pair_of(source[start + k], k).x;
        rank += select(0u, 1u, other < key || (other == key && k < place));
    }
    values[start + rank] = mine;
    places[start + rank] = i32(place);
}
