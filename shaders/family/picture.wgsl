// Used by picture_read, picture_write.
// A picture's elements in memory, and the pixel of an invocation.
struct Params { grid_width: u32, width: u32, pixels: u32, channels: u32, row: u32, pixel: u32, channel: u32 }

@group(0) @binding(0) var<uniform> params: Params;

fn pixel_index(group: vec3<u32>, local: u32) -> u32 {
    return (group.y * params.grid_width + group.x) * 64u + local;
}

fn position(index: u32) -> vec2<u32> {
    return vec2<u32>(index % params.width, index / params.width);
}

// The address of a pixel's first channel.
fn first_channel(at: vec2<u32>) -> u32 {
    return at.y * params.row + at.x * params.pixel;
}
