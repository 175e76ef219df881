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
fn fold_first(row: u32, lane: u32) -> Partial {
    var total = first_part(row, lane);
    var step = lane + LANES;
    while step + 3u * LANES < params.steps {
        let a = first_part(row, step);
        let b = first_part(row, step + LANES);
        let c = first_part(row, step + 2u * LANES);
        let d = first_part(row, step + 3u * LANES);
        total = join(total, join(join(a, b), join(c, d)));
        step += 4u * LANES;
    }
    while step < params.steps {
        total = join(total, first_part(row, step));
        step += LANES;
    }
    return total;
}

fn fold_second(row: u32, lane: u32, first: Element) -> Partial {
    var total = second_part(row, lane, first);
    var step = lane + LANES;
    while step + 3u * LANES < params.steps {
        let a = second_part(row, step, first);
        let b = second_part(row, step + LANES, first);
        let c = second_part(row, step + 2u * LANES, first);
        let d = second_part(row, step + 3u * LANES, first);
        total = join(total, join(join(a, b), join(c, d)));
        step += 4u * LANES;
    }
    while step < params.steps {
        total = join(total, second_part(row, step, first));
        step += LANES;
    }
    return total;
}

@compute @workgroup_size(LINES * LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = (group.y * params.grid_width + group.x) * LINES + line_of(local);
    let lane = lane_of(local);
    let is_folding = row < params.rows && lane < params.steps;
    var mine: Partial;
    if is_folding {
        mine = fold_first(row, lane);
    }
    let first = project(join_for_all(local, mine, params.steps));
    var second = first;
    if PASSES == 2u {
        if LANES > 1u {
            workgroupBarrier();
        }
        if is_folding {
            mine = fold_second(row, lane, first);
        }
        second = project(join_for_all(local, mine, params.steps));
    }
    if row < params.rows {
        if lane == 0u {
            store_row(row, first, second);
        }
        if STORES_ELEMENTS {
            for (var step = lane; step < params.steps; step += LANES) {
                store_elements(row, step, first, second);
            }
        }
    }
}
