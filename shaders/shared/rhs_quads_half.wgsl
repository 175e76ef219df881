// Replaces `shared/rhs` where four neighbours are read at once, from a multiple of four on: floats of 16 bits, two to a word.
#import shared/tile
#import shared/widen

@group(0) @binding(2) var<storage, read> rhs: array<vec2<u32>>;

fn rhs_quad(address: i32) -> vec4<f32> {
    return widen_quad(rhs[u32(address) / 4u], RHS_BF16);
}
