// Used by reduce, reduce_split.
// The fold of a part of a line, by one invocation.
#import operand/row
#import fold/sum

fn partial_at(outer: u32, index: u32, column: u32) -> Partial {
    return lift(element(vec3<u32>(outer, index, column)), index);
}

// The fold of indices `first`, `first + step`, … before `last` of a line; there is at least one. Four at a time: their
// loads do not wait for each other, and sums of sums lose fewer digits.
fn fold(line: u32, inner: u32, first: u32, last: u32, step: u32) -> Partial {
    let outer = line / inner;
    let column = line % inner;
    var total = partial_at(outer, first, column);
    var index = first + step;
    while index + 3u * step < last {
        let a = partial_at(outer, index, column);
        let b = partial_at(outer, index + step, column);
        let c = partial_at(outer, index + 2u * step, column);
        let d = partial_at(outer, index + 3u * step, column);
        total = join(total, join(join(a, b), join(c, d)));
        index += 4u * step;
    }
    while index < last {
        total = join(total, partial_at(outer, index, column));
        index += step;
    }
    return total;
}
