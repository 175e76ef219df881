// Slot row_work, used by rows.
// What is folded of rows, and what is stored of their totals: this default divides rows of a row-major tensor by their sums, which it
// stores too.
#import fold/sum
#import lanes/one
const PASSES = 1u;
const STORES_ELEMENTS = true;
alias ExpressionParams = array<vec4<u32>, 1>;
@group(0) @binding(1) var<storage, read> source0: array<f32>;
@group(0) @binding(2) var<storage, read_write> result0: array<f32>;
@group(0) @binding(3) var<storage, read_write> result1: array<f32>;

// A row.
struct Line {
    outer: u32,
}

// An index in a row; beside it, coordinates of several axes.
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
