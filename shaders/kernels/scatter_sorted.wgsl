// Joins contributions with the values at the positions that sorted indices name: an invocation an element, which finds its own and
// joins them in the order of the source. The sort was stable.
#import family/scatter
#import fold/sum

// Where each sorted index was before the sort.
@group(0) @binding(5) var<storage, read> order: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = (group.y * params.grid_width + group.x) * 64u + local;
    if index >= params.outer * params.length * params.inner {
        return;
    }
    let mine = target_of(index);
    let start = mine.outer * params.index_outer;
    // The first contribution whose index is not below mine.
    var low = 0u;
    var high = params.count;
    while low < high {
        let middle = (low + high) / 2u;
        if named(indices[start + middle]) < mine.position {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    var total = start_value(index);
    let first = min(low + params.skipped, params.count);
    let last = min(first + params.limit, params.count);
    for (var k = first; k < last; k++) {
        if named(indices[start + k]) != mine.position {
            break;
        }
        total = join(total, source[(mine.outer * params.count + u32(order[start + k])) * params.inner + mine.inner]);
    }
    result[index] = total;
}
