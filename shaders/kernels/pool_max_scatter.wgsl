// The gradient of a max pool: an invocation an element, which adds up, in order, what arrives at those windows over it that
// found it the largest.
#import lhs/elements
#import family/pool
@group(0) @binding(2) var<storage, read> indices: array<i32>;

fn value_at(index: u32) -> f32 {
    let position = position_of(index, vec3<i32>(Z.extent, Y.extent, X.extent));
    let own = (position.at.x * Y.extent + position.at.y) * X.extent + position.at.z;
    let start = position.plane * (Z.windows * Y.windows * X.windows);
    let planes = windows_over(Z, position.at.x);
    let rows = windows_over(Y, position.at.y);
    let columns = windows_over(X, position.at.z);
    var sum = 0.0;
    // Iteration counts are constants, so that there is no loop where windows do not overlap.
    for (var k = 0; k < Z.over; k++) {
        for (var j = 0; j < Y.over; j++) {
            let row = start + ((planes.x + k) * Y.windows + rows.x + j) * X.windows + columns.x;
            let is_row = planes.x + k <= planes.y && rows.x + j <= rows.y;
            for (var i = 0; i < X.over; i++) {
                if is_row && columns.x + i <= columns.y {
                    if indices[row + i] == own {
                        sum += lhs_at(u32(row + i));
                    }
                }
            }
        }
    }
    return sum;
}
