// Slot sort_key, used by family/sort, search_sorted.
// Words in the order of the floats that they stand for: −0 equals 0, a NaN comes after everything.
#import element/f32
fn sort_key(value: Value) -> u32 {
    let bits = bitcast<u32>(value);
    if (bits & 0x7fffffffu) > 0x7f800000u {
        return 0xffffffffu;
    }
    let signed_zero = select(bits, 0u, bits == 0x80000000u);
    return select(signed_zero | 0x80000000u, ~signed_zero, signed_zero >= 0x80000000u);
}
