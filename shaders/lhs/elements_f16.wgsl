// Slot lhs, used by blocks, family/convolution, family/product, load, pool_max, pool_max_gather, pool_max_scatter, pool_sum, pool_sum_gradient, rhs.
// An operand of f16, read an element at a time for matrix instructions.
enable f16;
#import family/bindings

@group(0) @binding(LHS_BINDING) var<storage, read> lhs: array<f16>;

fn lhs_at(address: u32) -> f16 {
    return lhs[address];
}
