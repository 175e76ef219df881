// Slot sort_key, used by family/sort, search_sorted.
// Words in the order of the integers that they stand for.
#import element/f32
fn sort_key(value: Value) -> u32 {
    return bitcast<u32>(value) ^ 0x80000000u;
}
