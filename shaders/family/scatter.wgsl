// Used by scatter, scatter_sorted.
// What scatters into a new tensor share. A dispatch adds at most `limit` contributions to each element, from the `skipped`th on; the
// first one starts from the base.
#import element/f32
#import family/scatter_shape

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
