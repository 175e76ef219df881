// The last step of a routine: what is stored of its result. This default stores it as it is, at binding 3.
// A variant computes an expression of the value and of other tensors, and stores one or more results.
#import shared/element
alias FinishParams = array<vec4<i32>, 1>;
@group(0) @binding(3) var<storage, read_write> result0: array<Element>;

fn finish(value: Element, index: u32, at: vec3<u32>) {
    result0[index] = value;
}
