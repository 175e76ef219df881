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

fn first_part(row: u32, step: u32) -> Partial {
    return lift(source0[row * params.steps + step], step);
}

fn second_part(row: u32, step: u32, first: Element) -> Partial {
    return first_part(row, step);
}

fn store_row(row: u32, first: Element, second: Element) {
    result0[row] = first;
}

fn store_elements(row: u32, step: u32, first: Element, second: Element) {
    result1[row * params.steps + step] = source0[row * params.steps + step] / first;
}
