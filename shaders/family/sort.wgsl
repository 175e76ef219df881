// Used by sort, sort_blocks, sort_gather, sort_join, sort_merge, sort_rank, sort_step.
// What the kernels of a sort share: lines of a row-major tensor `lines × length`.
#import element/f32
#import sort_key/f32

struct Params {
    grid_width: u32,
    lines: u32,
    length: u32,
    descending: u32,
    // Blocks of SIZE elements in a line.
    blocks: u32,
    // Of a step between blocks: the distance of exchanged elements, or half the extent of mirrored ones.
    distance: u32,
    mirrored: u32,
    // The last position that an index may name, where indices are sorted.
    top: u32,
}
@group(0) @binding(0) var<uniform> params: Params;

fn pair_of(value: Value, index: u32) -> vec2<u32> {
    let key = sort_key(value);
    return vec2<u32>(select(key, ~key, params.descending != 0u), index);
}

fn is_after(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.x > b.x || (a.x == b.x && a.y > b.y);
}
