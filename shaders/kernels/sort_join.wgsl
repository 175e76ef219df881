// Second and last pass over lines of some blocks: values and indices in order. An element's rank is its index in its own block and
// the number of elements before it in each other, which binary searches find.
#import family/sort
#import constants/sort

@group(0) @binding(1) var<storage, read> source: array<Value>;
@group(0) @binding(2) var<storage, read> sorted: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> values: array<Value>;
@group(0) @binding(4) var<storage, read_write> indices: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = (group.y * params.grid_width + group.x) * 64u + local;
    if index >= params.lines * params.length {
        return;
    }
    let position = index % params.length;
    let start = index - position;
    let mine = sorted[index];
    var rank = position % SIZE;
    for (var block = 0u; block < params.blocks; block++) {
        let first = block * SIZE;
        // Nothing of its own block is looked at.
        var low = 0u;
        var high = select(min(params.length - first, SIZE), 0u, block == position / SIZE);
        while low < high {
            let middle = (low + high) / 2u;
            if is_after(mine, sorted[start + first + middle]) {
                low = middle + 1u;
            } else {
                high = middle;
            }
        }
        rank += low;
    }
    values[start + rank] = source[start + mine.y];
    indices[start + rank] = i32(mine.y);
}
