// Balls that jump over a floor of tiles: a picture as it is meant, and one with noise.
struct Frame { time: f32, number: u32 }
@group(0) @binding(0) var<uniform> frame: Frame;
struct Pictures { @location(0) clean: vec4<f32>, @location(1) noisy: vec4<f32> }

@vertex fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    return vec4<f32>(f32(index & 1u) * 4.0 - 1.0, f32(index >> 1u) * 4.0 - 1.0, 0.0, 1.0);
}

fn scene(at: vec2<f32>) -> vec3<f32> {
    var colour = mix(vec3(0.2, 0.4, 0.75), vec3(0.95, 0.8, 0.65), at.y * 1.5);
    if at.y > 0.65 {
        let depth = 0.35 / (at.y - 0.45);
        let tile = vec2<i32>(floor(vec2((at.x - 1.0) * depth * 4.0 + frame.time, depth * 8.0)));
        colour = select(vec3(0.25, 0.2, 0.2), vec3(0.75, 0.7, 0.6), ((tile.x + tile.y) & 1) == 0);
    }
    for (var ball = 0; ball < 3; ball++) {
        let phase = frame.time * (0.7 + 0.2 * f32(ball)) + 2.1 * f32(ball);
        let middle = vec2(1.0 + 0.75 * cos(phase), 0.68 - 0.45 * abs(sin(phase * 1.7)));
        let off = (at - middle) / 0.17;
        let height = 1.0 - dot(off, off);
        if height > 0.0 {
            let light = 0.3 + 0.7 * max(0.0, dot(vec3(off, sqrt(height)), vec3(-0.45, -0.65, 0.61)));
            colour = light * vec3(0.95, 0.3 + 0.3 * f32(ball), 0.2 + 0.7 * f32(ball & 1));
        }
    }
    return colour;
}

fn noise(seed: u32) -> f32 {
    var x = seed * 747796405u + 2891336453u;
    x = ((x >> ((x >> 28u) + 4u)) ^ x) * 277803737u;
    return f32((x >> 22u) ^ x) / 4294967296.0 - 0.5;
}

@fragment fn colour(@builtin(position) position: vec4<f32>) -> Pictures {
    let clean = scene(position.xy / 64.0);
    let seed = (frame.number * 64u + u32(position.y)) * 128u + u32(position.x);
    let grain = vec3(noise(3u * seed), noise(3u * seed + 1u), noise(3u * seed + 2u));
    return Pictures(vec4(clean, 1.0), vec4(clean + 0.6 * grain, 1.0));
}
