// An input from a texture: of each pixel its first channels, as floats.
#import family/picture

@group(0) @binding(1) var<storage, read_write> elements: array<f32>;
@group(0) @binding(2) var picture: texture_2d<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = pixel_index(group, local);
    if index >= params.pixels {
        return;
    }
    let at = position(index);
    let color = textureLoad(picture, at, 0);
    let start = first_channel(at);
    elements[start] = color.x;
    if params.channels > 1u {
        elements[start + params.channel] = color.y;
    }
    if params.channels > 2u {
        elements[start + 2u * params.channel] = color.z;
    }
    if params.channels > 3u {
        elements[start + 3u * params.channel] = color.w;
    }
}
