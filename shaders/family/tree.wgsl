// Used by reduce, reduce_rows, reduce_split.
// A workgroup's share of a reduction: LINES results, each folded by LANES invocations, whose partial results then join
// along a tree of fixed shape. Lanes of a line are neighbours where ALONG_LANES says so, else lines are: whichever makes
// neighbouring invocations read neighbouring elements.
#import constants/reduction

var<workgroup> shares: array<Partial, LINES * LANES>;

fn line_of(local: u32) -> u32 {
    return select(local % LINES, local / LANES, ALONG_LANES);
}

fn lane_of(local: u32) -> u32 {
    return select(local / LINES, local % LANES, ALONG_LANES);
}

fn partial_at(outer: u32, index: u32, column: u32) -> Partial {
    return lift(element(vec3<u32>(outer, index, column)), index);
}

// The fold of indices `first`, `first + step`, … before `last` of a line; there is at least one. Four at a time: their
// loads do not wait for each other, and sums of sums lose fewer digits.
fn fold(line: u32, inner: u32, first: u32, last: u32, step: u32) -> Partial {
    let outer = line / inner;
    let column = line % inner;
    var total = partial_at(outer, first, column);
    var index = first + step;
    while index + 3u * step < last {
        let a = partial_at(outer, index, column);
        let b = partial_at(outer, index + step, column);
        let c = partial_at(outer, index + 2u * step, column);
        let d = partial_at(outer, index + 3u * step, column);
        total = join(total, join(join(a, b), join(c, d)));
        index += 4u * step;
    }
    while index < last {
        total = join(total, partial_at(outer, index, column));
        index += step;
    }
    return total;
}

// Joins the lanes' partial results, of which the first `count` exist; the line's first lane gets the total.
fn join_lanes(local: u32, mine: Partial, count: u32) -> Partial {
    if LANES == 1u {
        return mine;
    }
    let lane = lane_of(local);
    let apart = select(LINES, 1u, ALONG_LANES);
    shares[local] = mine;
    workgroupBarrier();
    for (var reach = LANES / 2u; reach > 0u; reach /= 2u) {
        if lane < reach && lane + reach < count {
            shares[local] = join(shares[local], shares[local + reach * apart]);
        }
        workgroupBarrier();
    }
    return shares[local];
}

// The same, of which every lane gets the total.
fn join_for_all(local: u32, mine: Partial, count: u32) -> Partial {
    let total = join_lanes(local, mine, count);
    if LANES == 1u {
        return total;
    }
    return shares[local - lane_of(local) * select(LINES, 1u, ALONG_LANES)];
}
