// Slot sort_key, used by family/sort, search_sorted.
// Words in their own order.
#import element/f32
fn sort_key(value: Value) -> u32 {
    return value;
}
