// Joins contributions with the values at the positions that indices name: an invocation an element, which looks at all of its
// line's indices in order.
#import family/scatter
#import fold/sum

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = (group.y * params.grid_width + group.x) * 64u + local;
    if index >= params.outer * params.length * params.inner {
        return;
    }
    let mine = target_of(index);
    var total = start_value(index);
    let last = min(params.skipped + params.limit, params.count);
    for (var k = params.skipped; k < last; k++) {
        let named_by = mine.outer * params.index_outer + k * params.index_step + mine.inner * params.index_inner;
        if named(indices[named_by]) == mine.position {
            total = join(total, source[(mine.outer * params.count + k) * params.inner + mine.inner]);
        }
    }
    result[index] = total;
}
