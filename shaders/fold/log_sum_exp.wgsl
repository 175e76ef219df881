// Slot fold, used by family/fold, family/tree, operand, reduce, reduce_partials, reduce_split, row_work, rows, scatter, scatter_sorted, scatter_update, scatter_update_sorted.
// log Σ e^x in one pass: the largest value so far, and the sum of exponentials relative to it.
#import element/f32
#import nan/floats
struct Partial {
    top: f32,
    sum: f32,
}

fn lift(value: Value, index: u32) -> Partial {
    return Partial(value, 1.0);
}

fn join(a: Partial, b: Partial) -> Partial {
    if is_nan(b.top) {
        return b;
    }
    // Equal infinities have no difference.
    if is_nan(a.top) || a.top == b.top {
        return Partial(a.top, a.sum + b.sum);
    }
    // Differences that matter are finite: e^−200 is 0.
    if a.top > b.top {
        return Partial(a.top, a.sum + b.sum * exp(max(b.top - a.top, -200.0)));
    }
    return Partial(b.top, b.sum + a.sum * exp(max(a.top - b.top, -200.0)));
}

fn project(total: Partial) -> Element {
    if is_nan(total.top) {
        return total.top;
    }
    return total.top + log(total.sum);
}

// −∞, which no constant may be.
fn nothing(count: u32) -> Element {
    return bitcast<f32>(0xff800000u + count);
}
