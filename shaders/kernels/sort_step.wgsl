// One step of a merge over long lines whose elements are further apart than a block: an invocation an exchange.
#import family/sort
#import family/network

@group(0) @binding(1) var<storage, read_write> sorted: array<vec2<u32>>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let number = (group.y * params.grid_width + group.x) * THREADS + local;
    // Exchanges of a line: half its blocks, rounded up to full merges.
    let extent = params.distance * 2u;
    let exchanges = ((params.length + extent - 1u) / extent) * params.distance;
    if number >= params.lines * exchanges {
        return;
    }
    let start = (number / exchanges) * params.length;
    let exchange = number % exchanges;
    let at = select(apart(exchange, params.distance), mirrored(exchange, params.distance), params.mirrored != 0u);
    if at.y < params.length {
        let a = sorted[start + at.x];
        let b = sorted[start + at.y];
        if is_after(a, b) {
            sorted[start + at.x] = b;
            sorted[start + at.y] = a;
        }
    }
}
