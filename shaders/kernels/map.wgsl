// Elementwise work: each invocation computes four neighbouring elements of every output.
#import expression/copy

struct Params {
    grid_width: u32,
    quads: u32,
    expression: ExpressionParams,
}
@group(0) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let quad = (group.y * params.grid_width + group.x) * 64u + local;
    if quad < params.quads {
        evaluate(quad);
    }
}
