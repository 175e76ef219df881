// Used by pool_max, pool_store.
// Windows of a pool along up to three spatial axes; those that are not there have an extent of 1.
#import constants/pool

struct Axis {
    extent: i32,
    windows: i32,
    // Elements from the first one of a window to the end behind its last.
    span: i32,
    stride: i32,
    dilation: i32,
    // Elements that the first window may reach before the axis.
    low: i32,
    // 1 where windows are spread over the axis instead.
    adaptive: i32,
    // Elements of the largest window.
    longest: i32,
    // The most windows over an element.
    over: i32,
}

// A position: number of the plane (batch and channel), and coordinates in it.
struct Position {
    plane: i32,
    at: vec3<i32>,
}

fn position_of(index: u32, extents: vec3<i32>) -> Position {
    var rest = i32(index);
    let x = rest % extents.z;
    rest /= extents.z;
    let y = rest % extents.y;
    rest /= extents.y;
    return Position(rest / extents.x, vec3<i32>(rest % extents.x, y, x));
}

// The position of an element of the result: before its last two extents, in rows and in columns.
fn result_position(index: u32) -> vec3<u32> {
    let rest = index / RESULT_COLUMNS;
    return vec3<u32>(rest / RESULT_ROWS, rest % RESULT_ROWS, index % RESULT_COLUMNS);
}

// The first element of the axis in a window, and the end behind its last one.
fn window(axis: Axis, number: i32) -> vec2<i32> {
    if axis.adaptive == 1 {
        let first = number * axis.extent / axis.windows;
        let end = ((number + 1) * axis.extent + axis.windows - 1) / axis.windows;
        return vec2<i32>(first, end);
    }
    let start = number * axis.stride - axis.low;
    let skipped = (max(-start, 0) + axis.dilation - 1) / axis.dilation;
    return vec2<i32>(start + skipped * axis.dilation, min(start + axis.span, axis.extent));
}

// The first and the last window that may contain an element.
fn windows_over(axis: Axis, element: i32) -> vec2<i32> {
    if axis.adaptive == 1 {
        let first = element * axis.windows / axis.extent;
        let last = ((element + 1) * axis.windows - 1) / axis.extent;
        return vec2<i32>(first, last);
    }
    let reached = element + axis.low;
    let first = (max(reached - axis.span + 1, 0) + axis.stride - 1) / axis.stride;
    return vec2<i32>(first, min(reached / axis.stride, axis.windows - 1));
}

// True where one of these windows contains the element, and not only dilated around it.
fn covers(axis: Axis, number: i32, element: i32) -> bool {
    return axis.adaptive == 1 || (element + axis.low - number * axis.stride) % axis.dilation == 0;
}
