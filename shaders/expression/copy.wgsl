// Slot expression, used by map.
// What a map computes: this default copies, four elements at a time.
#import lanes/four
alias ExpressionParams = array<vec4<i32>, 1>;
@group(0) @binding(1) var<storage, read> source0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> result0: array<vec4<f32>>;

fn evaluate(quad: u32) {
    result0[quad] = source0[quad];
}
