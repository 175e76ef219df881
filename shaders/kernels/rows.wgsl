// Totals of rows, and what is stored of them. A workgroup goes over its rows up to three times: for the first totals, for those that need
// these, and for what is stored of each element; after the first time, a row comes from a cache.
#import row_work/normalize
#import fold/sum
#import family/tree

struct Params {
    grid_width: u32,
    rows: u32,
    // Elements of a row, or four at a time.
    steps: u32,
    padding: u32,
    expression: ExpressionParams,
}
@group(0) @binding(0) var<uniform> params: Params;

// A lane's part of a row's first totals. Four steps at a time: sums of sums lose fewer digits.
fn fold_first(line: Line, lane: u32) -> Partial {
    let by = reduced_at(LANES);
    var at = reduced_at(lane);
    var total = first_part(line, at);
    at = reduced_moved(at, by);
    while at.index + 3u * LANES < params.steps {
        let second = reduced_moved(at, by);
        let third = reduced_moved(second, by);
        let fourth = reduced_moved(third, by);
        let a = first_part(line, at);
        let b = first_part(line, second);
        let c = first_part(line, third);
        let d = first_part(line, fourth);
        total = join(total, join(join(a, b), join(c, d)));
        at = reduced_moved(fourth, by);
    }
    while at.index < params.steps {
        total = join(total, first_part(line, at));
        at = reduced_moved(at, by);
    }
    return total;
}

fn fold_second(line: Line, lane: u32, before: Element) -> Partial {
    let by = reduced_at(LANES);
    var at = reduced_at(lane);
    var total = second_part(line, at, before);
    at = reduced_moved(at, by);
    while at.index + 3u * LANES < params.steps {
        let second = reduced_moved(at, by);
        let third = reduced_moved(second, by);
        let fourth = reduced_moved(third, by);
        let a = second_part(line, at, before);
        let b = second_part(line, second, before);
        let c = second_part(line, third, before);
        let d = second_part(line, fourth, before);
        total = join(total, join(join(a, b), join(c, d)));
        at = reduced_moved(fourth, by);
    }
    while at.index < params.steps {
        total = join(total, second_part(line, at, before));
        at = reduced_moved(at, by);
    }
    return total;
}

@compute @workgroup_size(LINES * LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = (group.y * params.grid_width + group.x) * LINES + line_of(local);
    let lane = lane_of(local);
    let line = line_at(row, 0u);
    let is_folding = row < params.rows && lane < params.steps;
    var mine: Partial;
    if is_folding {
        mine = fold_first(line, lane);
    }
    let first = project(join_for_all(local, mine, params.steps));
    var second = first;
    if PASSES == 2u {
        if LANES > 1u {
            workgroupBarrier();
        }
        if is_folding {
            mine = fold_second(line, lane, first);
        }
        second = project(join_for_all(local, mine, params.steps));
    }
    if row < params.rows {
        if lane == 0u {
            store_row(line, reduced_at(0u), first, second);
        }
        if STORES_ELEMENTS {
            let by = reduced_at(LANES);
            for (var at = reduced_at(lane); at.index < params.steps; at = reduced_moved(at, by)) {
                store_elements(line, at, first, second);
            }
        }
    }
}
