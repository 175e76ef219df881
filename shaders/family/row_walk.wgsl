// Used by operand, row_work.
// How a fold walks along the rows of a row-major tensor, which have one axis.

// A result.
struct Line {
    outer: u32,
}

// An index in the reduced range; beside it, coordinates of several axes.
struct Reduced {
    index: u32,
}

fn line_at(outer: u32, column: u32) -> Line {
    return Line(outer);
}

fn reduced_at(index: u32) -> Reduced {
    return Reduced(index);
}

// Some indices on.
fn reduced_moved(at: Reduced, by: Reduced) -> Reduced {
    return Reduced(at.index + by.index);
}
