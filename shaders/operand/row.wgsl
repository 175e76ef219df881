// Slot operand, used by family/fold, reduce, reduce_split.
// What a reduction folds: this default reads a row-major tensor of one outer index.
#import element/f32
#import lanes/one
alias ExpressionParams = array<vec4<i32>, 1>;
@group(0) @binding(1) var<storage, read> source0: array<Value>;

fn element(at: vec3<u32>) -> Value {
    return source0[at.y];
}
