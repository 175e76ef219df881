// Slot fold, used by family/fold, family/tree, operand, reduce, reduce_partials, reduce_split, row_work, rows, scatter, scatter_sorted, scatter_update, scatter_update_sorted.
// How a reduction folds values into one: a sum. Partial results join in the order that the kernel gives, which depends on
// sizes alone. Variants replace this module by one of its siblings.
#import element/f32
alias Partial = Element;

// One value and its index in the reduced range.
fn lift(value: Value, index: u32) -> Partial {
    return value;
}

fn join(a: Partial, b: Partial) -> Partial {
    return a + b;
}

fn project(total: Partial) -> Element {
    return total;
}

// What nothing folds into; `count` is 0, and keeps the compiler from looking through it.
fn nothing(count: u32) -> Element {
    return Element(f32(count));
}
