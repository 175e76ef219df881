// Joins contributions with the values at the positions that indices name, in place: an invocation a contribution, of which the first for
// a position joins all of the dispatch in order. A dispatch has those from the `skipped`th on, `limit` at most.
#import element/f32
#import family/scatter_shape
#import fold/sum

@group(0) @binding(1) var<storage, read> indices: array<i32>;
@group(0) @binding(2) var<storage, read> source: array<Element>;
@group(0) @binding(3) var<storage, read_write> result: array<Element>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let invocation = (group.y * params.grid_width + group.x) * 64u + local;
    let last = min(params.skipped + params.limit, params.count);
    let here = last - params.skipped;
    if invocation >= params.outer * here * params.inner {
        return;
    }
    let column = invocation % params.inner;
    let rest = invocation / params.inner;
    let outer = rest / here;
    let first = params.skipped + rest % here;
    let start = outer * params.index_outer + column * params.index_inner;
    let position = named(indices[start + first * params.index_step]);
    for (var k = params.skipped; k < first; k++) {
        if named(indices[start + k * params.index_step]) == position {
            return;
        }
    }
    let written = (outer * params.length + u32(position)) * params.inner + column;
    var total = result[written];
    for (var k = first; k < last; k++) {
        if named(indices[start + k * params.index_step]) == position {
            total = join(total, source[(outer * params.count + k) * params.inner + column]);
        }
    }
    result[written] = total;
}
