// Joins contributions with the values at the positions that sorted indices name, in place: an invocation a contribution, of which the
// first for a position joins all of them in the order of the source. The sort was stable. A dispatch joins at most `limit` of a
// position, from the `skipped`th on.
#import element/f32
#import family/scatter_shape
#import fold/sum

@group(0) @binding(1) var<storage, read> indices: array<i32>;
@group(0) @binding(2) var<storage, read> source: array<Element>;
@group(0) @binding(3) var<storage, read_write> result: array<Element>;
// Where each sorted index was before the sort.
@group(0) @binding(4) var<storage, read> order: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let invocation = (group.y * params.grid_width + group.x) * 64u + local;
    if invocation >= params.outer * params.count * params.inner {
        return;
    }
    let column = invocation % params.inner;
    let rest = invocation / params.inner;
    let outer = rest / params.count;
    let own = rest % params.count;
    let start = outer * params.index_outer;
    let position = named(indices[start + own]);
    if own > 0u && named(indices[start + own - 1u]) == position {
        return;
    }
    let written = (outer * params.length + u32(position)) * params.inner + column;
    var total = result[written];
    let first = min(own + params.skipped, params.count);
    let last = min(first + params.limit, params.count);
    for (var k = first; k < last; k++) {
        if named(indices[start + k]) != position {
            break;
        }
        total = join(total, source[(outer * params.count + u32(order[start + k])) * params.inner + column]);
    }
    result[written] = total;
}
