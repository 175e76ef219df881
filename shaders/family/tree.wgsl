// Used by reduce, reduce_split, rows.
// A workgroup's share of a reduction: LINES results, each folded by LANES invocations, whose partial results then join
// along a tree of fixed shape. Lanes of a line are neighbours where ALONG_LANES says so, else lines are: whichever makes
// neighbouring invocations read neighbouring elements.
#import constants/reduction
#import fold/sum

var<workgroup> shares: array<Partial, LINES * LANES>;

fn line_of(local: u32) -> u32 {
    return select(local % LINES, local / LANES, ALONG_LANES);
}

fn lane_of(local: u32) -> u32 {
    return select(local / LINES, local % LANES, ALONG_LANES);
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
