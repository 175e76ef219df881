// Slot rhs, used by blocks, family/convolution_source, family/product, load, recurrence_backward.
// The right operand, of which two neighbours are read at once, from an even address on, as one integer of 64 bits: to a software driver
// that is one load, and a vector of two would be two. They are f32.
#import family/bindings

@group(0) @binding(RHS_BINDING) var<storage, read> rhs: array<u64>;

fn rhs_pair(address: u32) -> vec2<f32> {
    let pair = rhs[address >> 1u];
    return vec2<f32>(bitcast<f32>(u32(pair)), bitcast<f32>(u32(pair >> 32u)));
}

fn rhs_at(address: u32) -> f32 {
    let pair = rhs_pair(address);
    return select(pair.x, pair.y, (address & 1u) == 1u);
}
