// Replaces `shared/lhs` where four neighbours are read at once, from a multiple of four on: they are f32.
@group(0) @binding(1) var<storage, read> lhs: array<vec4<f32>>;

fn lhs_quad(address: i32) -> vec4<f32> {
    return lhs[u32(address) / 4u];
}
