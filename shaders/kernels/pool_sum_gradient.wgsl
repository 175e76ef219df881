// The gradient of a pool of sums: an invocation an element, which adds up, in order, what arrives at the windows over it.
#import lhs/elements
#import family/pool

fn value_at(index: u32) -> f32 {
    let position = position_of(index, vec3<i32>(Z.extent, Y.extent, X.extent));
    let start = position.plane * (Z.windows * Y.windows * X.windows);
    let planes = windows_over(Z, position.at.x);
    let rows = windows_over(Y, position.at.y);
    let columns = windows_over(X, position.at.z);
    var sum = 0.0;
    // Iteration counts are constants, so that there is no loop where windows do not overlap.
    for (var k = 0; k < Z.over; k++) {
        let plane = planes.x + k;
        let is_plane = plane <= planes.y && covers(Z, plane, position.at.x);
        for (var j = 0; j < Y.over; j++) {
            let row = rows.x + j;
            let is_row = is_plane && row <= rows.y && covers(Y, row, position.at.y);
            let first = start + (plane * Y.windows + row) * X.windows;
            for (var i = 0; i < X.over; i++) {
                let column = columns.x + i;
                if is_row && column <= columns.y && covers(X, column, position.at.z) {
                    sum += lhs_at(u32(first + column));
                }
            }
        }
    }
    return sum;
}
