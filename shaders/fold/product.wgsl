// Slot fold, used by family/fold, family/tree, operand, reduce, reduce_partials, reduce_split, row_work, rows, scatter, scatter_sorted, scatter_update, scatter_update_sorted.
// Products.
#import element/f32
alias Partial = Element;

fn lift(value: Value, index: u32) -> Partial {
    return value;
}

fn join(a: Partial, b: Partial) -> Partial {
    return a * b;
}

fn project(total: Partial) -> Element {
    return total;
}

fn nothing(count: u32) -> Element {
    return Element(count + 1u);
}
