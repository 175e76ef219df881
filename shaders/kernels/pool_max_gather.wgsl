// The elements of another tensor at the indices that a max pool found: an invocation a window. A window without elements gets 0.
#import lhs/elements
#import family/pool
@group(0) @binding(2) var<storage, read> indices: array<i32>;

fn value_at(index: u32) -> f32 {
    let plane = i32(index) / (Z.windows * Y.windows * X.windows);
    let extent = Z.extent * Y.extent * X.extent;
    let found = indices[index];
    var value = 0.0;
    if found >= 0 && found < extent {
        value = lhs_at(u32(plane * extent + found));
    }
    return value;
}
