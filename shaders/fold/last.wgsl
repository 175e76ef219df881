// Slot fold, used by family/fold, family/tree, operand, reduce, reduce_partials, reduce_split, row_work, rows, scatter, scatter_sorted, scatter_update, scatter_update_sorted.
// What comes last: of several values that are written to one position, the last one stays.
#import element/f32
alias Partial = Element;

fn lift(value: Value, index: u32) -> Partial {
    return value;
}

fn join(a: Partial, b: Partial) -> Partial {
    return b;
}

fn project(total: Partial) -> Element {
    return total;
}

// Not asked for: a position that gets nothing keeps its value.
fn nothing(count: u32) -> Element {
    return Element(count);
}
