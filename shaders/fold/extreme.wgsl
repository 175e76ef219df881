// Slot fold, used by family/fold, family/tree, operand, reduce, reduce_partials, reduce_split, row_work, rows, scatter, scatter_sorted, scatter_update, scatter_update_sorted.
// The largest or smallest value. A NaN wins, as in PyTorch.
#import element/f32
#import family/extremes
alias Partial = Element;

fn lift(value: Value, index: u32) -> Partial {
    return value;
}

fn join(a: Partial, b: Partial) -> Partial {
    return select(a, b, better(b, a));
}

fn project(total: Partial) -> Element {
    return total;
}

// Not asked for: there is nothing to choose from.
fn nothing(count: u32) -> Element {
    return Element(count);
}
