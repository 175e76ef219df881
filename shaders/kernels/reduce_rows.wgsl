// A reduction of each row, and an expression of the result and of other tensors at every element of the row, which is read
// again while it is in a cache.
#import operand/row
#import fold/sum
#import family/tree
#import finish/element

struct Params {
    grid_width: u32,
    lines: u32,
    inner: u32,
    reduced: u32,
    expression: ExpressionParams,
    finish: FinishParams,
}
@group(0) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(LINES * LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let line = (group.y * params.grid_width + group.x) * LINES + line_of(local);
    let lane = lane_of(local);
    var mine: Partial;
    if line < params.lines && lane < params.reduced {
        mine = fold(line, params.inner, lane, params.reduced, LANES);
    }
    let value = project(join_for_all(local, mine, params.reduced));
    if line < params.lines {
        for (var index = lane; index < params.reduced; index += LANES) {
            finish(value, line * params.reduced + index, vec3<u32>(line, index, 0u));
        }
    }
}
