// Slot operand, used by family/fold, reduce, reduce_split.
// What a reduction folds: this default reads a row-major tensor of one outer index.
#import fold/sum
#import element/f32
#import lanes/one
alias ExpressionParams = array<vec4<i32>, 1>;
@group(0) @binding(1) var<storage, read> source0: array<Value>;

// A result.
struct Line {
    outer: u32,
}

// An index in the reduced range; beside it, coordinates of several axes.
struct Reduced {
    index: u32,
}

fn line_at(outer: u32, column: u32) -> Line {
    return Line(outer);
}

fn reduced_at(index: u32) -> Reduced {
    return Reduced(index);
}

// Some indices on.
fn reduced_moved(at: Reduced, by: Reduced) -> Reduced {
    return Reduced(at.index + by.index);
}

fn part(line: Line, at: Reduced) -> Partial {
    return lift(source0[at.index], at.index);
}
