// Running sums: an invocation a line, or a chunk of a line. Neighbouring invocations take neighbouring lines.
#import family/scan

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let number = (group.y * params.grid_width + group.x) * 64u + local;
    if number >= params.lines * params.chunks {
        return;
    }
    let line = number % params.lines;
    let chunk = number / params.lines;
    let first = chunk * params.chunk_length;
    let last = min(first + params.chunk_length, params.length);
    let start = (line / params.inner) * params.length * params.inner + line % params.inner;
    var sum = carry(chunk * params.lines + line);
    for (var k = first; k < last; k++) {
        let position = select(k, last - 1u - (k - first), params.reverse != 0u);
        let index = start + position * params.inner;
        let next = sum + source[index];
        result[index] = select(next, sum, params.exclusive != 0u);
        sum = next;
    }
}
