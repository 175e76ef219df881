// The last steps of a merge over long lines, within blocks.
#import family/sort
#import family/network

@group(0) @binding(1) var<storage, read_write> sorted: array<vec2<u32>>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let number = group.y * params.grid_width + group.x;
    if number >= params.lines * params.blocks {
        return;
    }
    let first = (number % params.blocks) * SIZE;
    let start = (number / params.blocks) * params.length + first;
    let count = min(params.length - first, SIZE);
    for (var k = local; k < count; k += THREADS) {
        pairs[k] = sorted[start + k];
    }
    workgroupBarrier();
    merge_down(local, SIZE / 2u, count);
    for (var k = local; k < count; k += THREADS) {
        sorted[start + k] = pairs[k];
    }
}
