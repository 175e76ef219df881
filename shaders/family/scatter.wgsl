// Used by scatter, scatter_sorted.
// What scatters share: a base `outer × length × inner`, indices and a source `outer × count × inner`. A dispatch adds at most
// `limit` contributions to each element, from the `skipped`th on; the first one starts from the base.
#import element/f32

struct Params {
    grid_width: u32,
    outer: u32,
    length: u32,
    inner: u32,
    count: u32,
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
@group(0) @binding(1) var<storage, read> base: array<Element>;
@group(0) @binding(2) var<storage, read> indices: array<i32>;
@group(0) @binding(3) var<storage, read> source: array<Element>;
@group(0) @binding(4) var<storage, read_write> result: array<Element>;

struct Target {
    outer: u32,
    position: i32,
    inner: u32,
}

fn target_of(index: u32) -> Target {
    let rest = index / params.inner;
    return Target(rest / params.length, i32(rest % params.length), index % params.inner);
}

fn start_value(index: u32) -> Element {
    if params.skipped == 0u {
        return base[index];
    }
    return result[index];
}

// The position that an index names: indices outside are clamped, as those of a gather are.
fn named(index: i32) -> i32 {
    return clamp(index, 0, i32(params.length) - 1);
}
