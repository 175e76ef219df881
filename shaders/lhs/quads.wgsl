// Slot lhs, used by blocks, family/convolution, family/product, load, pool_max, pool_max_gather, pool_max_scatter, pool_sum, pool_sum_gradient, rhs.
// An operand of which four neighbours are read at once, from a multiple of four on: they are f32.
#import family/bindings

@group(0) @binding(LHS_BINDING) var<storage, read> lhs: array<vec4<f32>>;

fn lhs_quad(address: i32) -> vec4<f32> {
    return lhs[u32(address) / 4u];
}
