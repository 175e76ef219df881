// Last pass over long lines: values and indices in order.
#import family/sort

@group(0) @binding(1) var<storage, read> source: array<Value>;
@group(0) @binding(2) var<storage, read> sorted: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> values: array<Value>;
@group(0) @binding(4) var<storage, read_write> indices: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = (group.y * params.grid_width + group.x) * 64u + local;
    if index >= params.lines * params.length {
        return;
    }
    let start = index - index % params.length;
    let source_index = sorted[index].y;
    values[index] = source[start + source_index];
    indices[index] = i32(source_index);
}
