// An output into a texture. One channel is gray, and what has no alpha is opaque.
#import family/picture
#import texel/rgba8unorm

@group(0) @binding(1) var<storage, read> elements: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = pixel_index(group, local);
    if index >= params.pixels {
        return;
    }
    let at = position(index);
    let start = first_channel(at);
    var color = vec4<f32>(vec3<f32>(elements[start]), 1.0);
    if params.channels > 1u {
        color.y = elements[start + params.channel];
        color.z = 0.0;
    }
    if params.channels > 2u {
        color.z = elements[start + 2u * params.channel];
    }
    if params.channels > 3u {
        color.w = elements[start + 3u * params.channel];
    }
    textureStore(picture, at, color);
}
