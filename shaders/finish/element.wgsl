// Slot finish, used by family/convolution, family/product, matmul_sum, matmul_sum_quads, pool_store, reduce, reduce_partials, resample.
// The last step of a routine: what is stored of its result. This default stores it as it is, at binding 3.
// A variant computes an expression of the value and of other tensors, and stores one or more results.
#import element/f32
#import lanes/one
alias FinishParams = array<vec4<i32>, 1>;
@group(0) @binding(3) var<storage, read_write> result0: array<Element>;

fn finish(value: Element, index: u32, at: vec3<u32>) {
    result0[index] = value;
}
