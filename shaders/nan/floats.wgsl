// Slot nan, used by family/extremes, fold, pool_max.
// Drivers may assume that there are no NaNs, and drop comparisons that find them; they cannot drop a test of the bits.
fn is_nan(value: f32) -> bool {
    return (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u;
}
