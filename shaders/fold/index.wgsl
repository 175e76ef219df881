// Slot fold, used by family/fold, family/tree, operand, reduce, reduce_partials, reduce_split, row_work, rows, scatter, scatter_sorted, scatter_update, scatter_update_sorted.
// The index of the largest or smallest value; the first of equals. A NaN wins, as in PyTorch.
#import element/f32
#import family/extremes
struct Partial {
    value: Value,
    index: u32,
}

fn lift(value: Value, index: u32) -> Partial {
    return Partial(value, index);
}

// A lane folds every LANES-th index, so that `b` may come before `a`.
fn join(a: Partial, b: Partial) -> Partial {
    if better(b.value, a.value) || (!better(a.value, b.value) && b.index < a.index) {
        return b;
    }
    return a;
}

fn project(total: Partial) -> Element {
    return Element(total.index);
}

fn nothing(count: u32) -> Element {
    return Element(count);
}
