// Sorts lines that fit into workgroup memory, a workgroup a line.
#import family/sort
#import family/network

@group(0) @binding(1) var<storage, read> source: array<Value>;
@group(0) @binding(2) var<storage, read_write> values: array<Value>;
@group(0) @binding(3) var<storage, read_write> indices: array<i32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let line = group.y * params.grid_width + group.x;
    if line >= params.lines {
        return;
    }
    let start = line * params.length;
    for (var k = local; k < params.length; k += THREADS) {
        pairs[k] = pair_of(source[start + k], k);
    }
    workgroupBarrier();
    sort_pairs(local, params.length);
    for (var k = local; k < params.length; k += THREADS) {
        let index = pairs[k].y;
        values[start + k] = source[start + index];
        indices[start + k] = i32(index);
    }
}
