// What a reduction folds: this default reads a row-major tensor of one outer index.
#import shared/element
alias ExpressionParams = array<vec4<i32>, 1>;
@group(0) @binding(1) var<storage, read> source0: array<Value>;

fn element(at: vec3<u32>) -> Value {
    return source0[at.y];
}
