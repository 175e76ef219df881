// Slot row_work, used by rows.
// What is folded of rows, and what is stored of their totals: this default divides rows of a row-major tensor by their sums, which it
// stores too.
#import fold/sum
#import lanes/one
#import family/row_walk
const PASSES = 1u;
const STORES_ELEMENTS = true;
alias ExpressionParams = array<vec4<u32>, 1>;
@group(0) @binding(1) var<storage, read> source0: array<f32>;
@group(0) @binding(2) var<storage, read_write> result0: array<f32>;
@group(0) @binding(3) var<storage, read_write> result1: array<f32>;

fn first_part(line: Line, at: Reduced) -> Partial {
    return lift(source0[line.outer * params.steps + at.index], at.index);
}

fn second_part(line: Line, at: Reduced, first: Element) -> Partial {
    return first_part(line, at);
}

fn store_row(line: Line, at: Reduced, first: Element, second: Element) {
    result0[line.outer] = first;
}

fn store_elements(line: Line, at: Reduced, first: Element, second: Element) {
    let index = line.outer * params.steps + at.index;
    result1[index] = source0[index] / first;
}
