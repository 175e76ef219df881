// Running sums of few long lines: a workgroup a chunk, which it walks in blocks of as many elements as it has
// invocations.
#import family/scan

const BLOCK = 256u;
var<workgroup> sums: array<Element, BLOCK>;

@compute @workgroup_size(BLOCK)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let number = group.y * params.grid_width + group.x;
    if number >= params.lines * params.chunks {
        return;
    }
    let line = number % params.lines;
    let chunk = number / params.lines;
    let first = chunk * params.chunk_length;
    let last = min(first + params.chunk_length, params.length);
    let start = (line / params.inner) * params.length * params.inner + line % params.inner;
    var before = carry(number);
    for (var block = first; block < last; block += BLOCK) {
        let k = block + local;
        let position = select(k, last - 1u - (k - first), params.reverse != 0u);
        let index = start + position * params.inner;
        var mine = Element(0);
        if k < last {
            mine = source[index];
        }
        sums[local] = mine;
        workgroupBarrier();
        for (var reach = 1u; reach < BLOCK; reach *= 2u) {
            var sum = sums[local];
            if local >= reach {
                sum = sums[local - reach] + sum;
            }
            workgroupBarrier();
            sums[local] = sum;
            workgroupBarrier();
        }
        var earlier = before;
        if local > 0u {
            earlier = before + sums[local - 1u];
        }
        if k < last {
            result[index] = select(before + sums[local], earlier, params.exclusive != 0u);
        }
        before += sums[BLOCK - 1u];
        workgroupBarrier();
    }
}
