// The right operand of a product in memory, read an element at a time: words of 32 bits that are an f32 each, or two floats of 16.
#import shared/tile
#import shared/widen

@group(0) @binding(2) var<storage, read> rhs: array<u32>;

fn rhs_at(address: u32) -> f32 {
    if RHS_F16 || RHS_BF16 {
        return widen(rhs[address >> 1u] >> ((address & 1u) * 16u), RHS_BF16);
    }
    return bitcast<f32>(rhs[address]);
}

// Two neighbours.
fn rhs_pair(address: u32) -> vec2<f32> {
    return vec2<f32>(rhs_at(address), rhs_at(address + 1u));
}
