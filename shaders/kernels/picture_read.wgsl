// An input from a texture: of each pixel its first channels, as floats.

struct Params { grid_width: u32, width: u32, pixels: u32, channels: u32, row: u32, pixel: u32, channel: u32, first: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> elements: array<f32>;
@group(0) @binding(2) var picture: texture_2d<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = (group.y * params.grid_width + group.x) * 64u + local;
    if index >= params.pixels {
        return;
    }
    let at = vec2<u32>(index % params.width, index / params.width);
    let color = textureLoad(picture, at, 0);
    let start = params.first + at.y * params.row + at.x * params.pixel;
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
