// Slot lhs, used by blocks, family/convolution, family/product, load, pool_max, pool_max_gather, pool_max_scatter, pool_sum, pool_sum_gradient, rhs.
// An operand of which four neighbours are read at once, from a multiple of four on: floats of 16 bits, two to a word.
#import constants/stored
#import family/bindings
#import shared/widen

@group(0) @binding(LHS_BINDING) var<storage, read> lhs: array<vec2<u32>>;

fn lhs_quad(address: i32) -> vec4<f32> {
    return widen_quad(lhs[u32(address) / 4u], LHS_BF16);
}
