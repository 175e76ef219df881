// Slot lhs, used by blocks, family/convolution, family/product, load, pool_max, pool_max_gather, pool_max_scatter, pool_sum, pool_sum_gradient, rhs.
// An operand of f16 of which four neighbours are read at once for matrix instructions, from a multiple of four on.
enable f16;
#import family/bindings

@group(0) @binding(LHS_BINDING) var<storage, read> lhs: array<vec4<f16>>;

fn lhs_quad(address: i32) -> vec4<f16> {
    return lhs[u32(address) / 4u];
}
