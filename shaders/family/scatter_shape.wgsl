// Used by family/scatter, scatter_update, scatter_update_sorted.
// The sizes of a scatter: a base `outer × length × inner`, indices and a source `outer × count × inner`.

struct Params {
    grid_width: u32,
    outer: u32,
    length: u32,
    inner: u32,
    count: u32,
    // Contributions that are left to others, and how many a dispatch adds at most.
    skipped: u32,
    limit: u32,
    // Steps of the indices: from an outer index, from a contribution and from an inner index to the next.
    index_outer: u32,
    index_step: u32,
    index_inner: u32,
    padding0: u32,
    padding1: u32,
}
@group(0) @binding(0) var<uniform> params: Params;

// The position that an index names: indices outside are clamped, as those of a gather are.
fn named(index: i32) -> i32 {
    return clamp(index, 0, i32(params.length) - 1);
}
