// A buffer of colours, red, green and blue of each pixel, as a panel of a screen.
@group(0) @binding(0) var<storage, read> colours: array<f32>;
@group(0) @binding(1) var<uniform> size: vec2<u32>;

// One triangle that covers everything.
@vertex fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    return vec4<f32>(f32(index & 1u) * 4.0 - 1.0, f32(index >> 1u) * 4.0 - 1.0, 0.0, 1.0);
}

@fragment fn colour(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let pixel = 3u * (u32(position.y) * size.x + u32(position.x) % size.x);
    return vec4<f32>(colours[pixel], colours[pixel + 1u], colours[pixel + 2u], 1.0);
}
