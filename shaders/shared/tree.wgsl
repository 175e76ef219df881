// A workgroup's share of a reduction: LINES results, each folded by LANES invocations, whose partial results then join
// along a tree of fixed shape. Lanes of a line are neighbours where ALONG_LANES says so, else lines are: whichever makes
// neighbouring invocations read neighbouring elements.
#import shared/tile

var<workgroup> shares: array<Partial, LINES * LANES>;

fn line_of(local: u32) -> u32 {
    return select(local % LINES, local / LANES, ALONG_LANES);
}

fn lane_of(local: u32) -> u32 {
    return select(local / LINES, local % LANES, ALONG_LANES);
}

// Elements that are folded one after another before they join the total: sums of sums lose fewer digits.
const RUN = 64u;

// The fold of places `first`, `first + step`, … before `last` of a line; there is at least one.
fn fold(line: u32, inner: u32, first: u32, last: u32, step: u32) -> Partial {
    let outer = line / inner;
    let column = line % inner;
    var total: Partial;
    for (var start = first; start < last; start += RUN * step) {
        let stop = min(start + RUN * step, last);
        var run = lift(element(vec3<u32>(outer, start, column)), start);
        for (var place = start + step; place < stop; place += step) {
            run = join(run, lift(element(vec3<u32>(outer, place, column)), place));
        }
        if start == first {
            total = run;
        } else {
            total = join(total, run);
        }
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
