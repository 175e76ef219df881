// First pass over long lines: sorts each block of SIZE elements.
#import family/sort
#import family/network

@group(0) @binding(1) var<storage, read> source: array<Value>;
@group(0) @binding(2) var<storage, read_write> sorted: array<vec2<u32>>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let number = group.y * params.grid_width + group.x;
    if number >= params.lines * params.blocks {
        return;
    }
    let start = (number / params.blocks) * params.length;
    let first = (number % params.blocks) * SIZE;
    let count = min(params.length - first, SIZE);
    for (var k = local; k < count; k += THREADS) {
        pairs[k] = pair_of(source[start + first + k], first + k);
    }
    workgroupBarrier();
    sort_pairs(local, count);
    for (var k = local; k < count; k += THREADS) {
        sorted[start + first + k] = pairs[k];
    }
}
