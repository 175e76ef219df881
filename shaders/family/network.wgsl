// Used by sort, sort_blocks, sort_merge, sort_step.
// A sorting network over pairs of a key and an index in workgroup memory. Indices differ, so that pairs have a strict order
// and equal keys keep theirs. Every step exchanges towards ascending order (the first step of a merge pairs mirrored
// elements), so that what is missing at the end may be left out instead of being padded.
#import constants/sort

var<workgroup> pairs: array<vec2<u32>, SIZE>;

// The lower element of an exchange, and the upper; `half` is half the extent of the merge. Distances are powers of two, so that masks do
// what divisions by them would.
fn mirrored(exchange: u32, half: u32) -> vec2<u32> {
    let offset = exchange & (half - 1u);
    let start = (exchange - offset) * 2u;
    return vec2<u32>(start + offset, start + 2u * half - 1u - offset);
}

fn apart(exchange: u32, distance: u32) -> vec2<u32> {
    let lower = exchange + (exchange & ~(distance - 1u));
    return vec2<u32>(lower, lower + distance);
}

fn exchange_pairs(at: vec2<u32>, count: u32) {
    if at.y < count {
        let a = pairs[at.x];
        let b = pairs[at.y];
        if is_after(a, b) {
            pairs[at.x] = b;
            pairs[at.y] = a;
        }
    }
}

// Steps at distances from `widest` down to 1.
fn merge_down(local: u32, widest: u32, count: u32) {
    for (var distance = widest; distance > 0u; distance >>= 1u) {
        for (var exchange = local; exchange < SIZE / 2u; exchange += THREADS) {
            exchange_pairs(apart(exchange, distance), count);
        }
        workgroupBarrier();
    }
}

// Sorts the first `count` pairs. Begins after a barrier, ends with one.
fn sort_pairs(local: u32, count: u32) {
    for (var half = 1u; half < SIZE; half *= 2u) {
        for (var exchange = local; exchange < SIZE / 2u; exchange += THREADS) {
            exchange_pairs(mirrored(exchange, half), count);
        }
        workgroupBarrier();
        merge_down(local, half >> 1u, count);
    }
}
