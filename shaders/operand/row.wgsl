// Slot operand, used by family/fold, reduce, reduce_split.
// What a reduction folds: this default reads a row-major tensor of one outer index.
#import fold/sum
#import element/f32
#import lanes/one
#import family/row_walk
alias ExpressionParams = array<vec4<i32>, 1>;
@group(0) @binding(1) var<storage, read> source0: array<Value>;

fn part(line: Line, at: Reduced) -> Partial {
    return lift(source0[at.index], at.index);
}
