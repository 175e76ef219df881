// Slot finish, used by family/convolution, family/product, matmul_sum, matmul_sum_quads, pool_store, reduce, reduce_partials, resample.
// The last step of a routine for four neighbouring elements: what is stored of its result. This default stores them as they are.
#import lanes/four
alias FinishParams = array<vec4<i32>, 1>;
@group(0) @binding(3) var<storage, read_write> result0: array<vec4<f32>>;

fn finish_quad(value: vec4<f32>, quad: u32, at: vec3<u32>) {
    result0[quad] = value;
}
