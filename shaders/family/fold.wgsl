// Used by reduce, reduce_split.
// The fold of a part of a line, by one invocation.
#import operand/row
#import fold/sum

// The fold of indices `first`, `first + step`, … before `last` of a line; there is at least one. Four at a time: their
// loads do not wait for each other, and sums of sums lose fewer digits.
fn fold(number: u32, inner: u32, first: u32, last: u32, step: u32) -> Partial {
    let line = line_at(number / inner, number % inner);
    let by = reduced_at(step);
    var at = reduced_at(first);
    var total = part(line, at);
    at = reduced_moved(at, by);
    while at.index + 3u * step < last {
        let second = reduced_moved(at, by);
        let third = reduced_moved(second, by);
        let fourth = reduced_moved(third, by);
        let a = part(line, at);
        let b = part(line, second);
        let c = part(line, third);
        let d = part(line, fourth);
        total = join(total, join(join(a, b), join(c, d)));
        at = reduced_moved(fourth, by);
    }
    while at.index < last {
        total = join(total, part(line, at));
        at = reduced_moved(at, by);
    }
    return total;
}
