// Used by pool_max_gather, pool_max_scatter, pool_sum, pool_sum_gradient.
// The entry point of pools: an invocation for each element that is stored, or for four, which a kernel's `value_at` computes.
#import pool_store/element

struct Params {
    grid_width: u32,
    // Invocations that store.
    count: u32,
    padding: vec2<u32>,
    finish: FinishParams,
}
@group(0) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let number = (group.y * params.grid_width + group.x) * 64u + local;
    if number < params.count {
        store(number);
    }
}
