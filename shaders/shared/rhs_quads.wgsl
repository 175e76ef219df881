// Replaces `shared/rhs` where four neighbours are read at once, from a multiple of four on: they are f32.
@group(0) @binding(2) var<storage, read> rhs: array<vec4<f32>>;

fn rhs_quad(address: i32) -> vec4<f32> {
    return rhs[u32(address) / 4u];
}
