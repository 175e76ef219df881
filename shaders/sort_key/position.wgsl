// Slot sort_key, used by family/sort, search_sorted.
// Indices in the order of the positions that they name: those outside are clamped, as those of a gather are.
#import element/f32
fn sort_key(value: Value) -> u32 {
    return u32(clamp(value, 0, i32(params.top)));
}
