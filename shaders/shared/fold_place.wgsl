// The place of the largest or smallest value; the first of equals. A NaN wins, as in PyTorch.
#import shared/element
#import shared/better
struct Partial {
    value: Value,
    place: u32,
}

fn lift(value: Value, place: u32) -> Partial {
    return Partial(value, place);
}

// Lanes take places in turn, so that `b` may come before `a`.
fn join(a: Partial, b: Partial) -> Partial {
    if better(b.value, a.value) || (!better(a.value, b.value) && b.place < a.place) {
        return b;
    }
    return a;
}

fn project(total: Partial) -> Element {
    return Element(total.place);
}

fn nothing(count: u32) -> Element {
    return Element(count);
}
