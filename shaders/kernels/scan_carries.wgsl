// Between the passes of a scan in chunks: turns each chunk's sum into the sum of all chunks before it.
#import element/f32

struct Params {
    grid_width: u32,
    lines: u32,
    chunks: u32,
    reverse: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> sums: array<Element>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let line = (group.y * params.grid_width + group.x) * 64u + local;
    if line >= params.lines {
        return;
    }
    var sum = Element(0);
    for (var k = 0u; k < params.chunks; k++) {
        let index = select(k, params.chunks - 1u - k, params.reverse != 0u) * params.lines + line;
        let mine = sums[index];
        sums[index] = sum;
        sum += mine;
    }
}
