// A reduction of an expression over the middle of its domain, and an expression of the result.
#import operand/row
#import fold/sum
#import family/tree
#import family/fold
#import finish/element

struct Params {
    grid_width: u32,
    // Results, and how many neighbouring ones belong to one outer index.
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
    let total = join_lanes(local, mine, params.reduced);
    if lane == 0u && line < params.lines {
        let at = vec3<u32>(line / params.inner, 0u, line % params.inner);
        if params.reduced == 0u {
            finish(nothing(params.reduced), line, at);
        } else {
            finish(project(total), line, at);
        }
    }
}
