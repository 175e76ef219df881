// Slot rhs, used by blocks, family/convolution_source, family/product, load, recurrence_backward.
// The right operand of a product, read an element at a time.
#mirror lhs/elements

// The type of its elements once they are read.
alias Factor = f32;

// Two neighbours.
fn rhs_pair(address: u32) -> vec2<f32> {
    return vec2<f32>(rhs_at(address), rhs_at(address + 1u));
}
