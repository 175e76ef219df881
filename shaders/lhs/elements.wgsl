// Slot lhs, used by blocks, family/convolution, family/product, load, pool_max, pool_max_gather, pool_max_scatter, pool_sum, pool_sum_gradient, rhs.
// An operand of a product in memory, read an element at a time: words of 32 bits that are an f32 each, or two floats of 16.
#import constants/stored
#import family/bindings
#import shared/widen

@group(0) @binding(LHS_BINDING) var<storage, read> lhs: array<u32>;

fn lhs_at(address: u32) -> f32 {
    if LHS_F16 || LHS_BF16 {
        return widen(lhs[address >> 1u] >> ((address & 1u) * 16u), LHS_BF16);
    }
    return bitcast<f32>(lhs[address]);
}
