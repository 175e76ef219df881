// First pass of a reduction of few lines over a long range: each workgroup folds a part of it.
#import constants/split
#import operand/row
#import fold/sum
#import family/tree
#import family/fold

struct Params {
    grid_width: u32,
    lines: u32,
    inner: u32,
    reduced: u32,
    // Splits of the reduced range, and the length of each but the last; none is empty.
    splits: u32,
    split_length: u32,
    padding0: u32,
    padding1: u32,
    expression: ExpressionParams,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(PARTIALS) var<storage, read_write> results: array<Partial>;

@compute @workgroup_size(LINES * LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let number = group.y * params.grid_width + group.x;
    let line = (number / params.splits) * LINES + line_of(local);
    let split = number % params.splits;
    let lane = lane_of(local);
    let first = split * params.split_length;
    let last = min(first + params.split_length, params.reduced);
    var mine: Partial;
    if line < params.lines && first + lane < last {
        mine = fold(line, params.inner, first + lane, last, LANES);
    }
    let total = join_lanes(local, mine, last - first);
    if lane == 0u && line < params.lines {
        results[split * params.lines + line] = total;
    }
}
