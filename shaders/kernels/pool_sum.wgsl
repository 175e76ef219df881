// The sum of each window: an invocation a window, which reads its elements in order.
#import lhs/elements
#import family/pool

fn value_at(index: u32) -> f32 {
    let position = position_of(index, vec3<i32>(Z.windows, Y.windows, X.windows));
    let start = position.plane * (Z.extent * Y.extent * X.extent);
    let planes = window(Z, position.at.x);
    let rows = window(Y, position.at.y);
    let columns = window(X, position.at.z);
    var sum = 0.0;
    // Iteration counts are constants, so that small windows need no loops.
    for (var k = 0; k < Z.longest; k++) {
        let plane = planes.x + k * Z.dilation;
        for (var j = 0; j < Y.longest; j++) {
            let row = rows.x + j * Y.dilation;
            for (var i = 0; i < X.longest; i++) {
                let column = columns.x + i * X.dilation;
                if plane < planes.y && row < rows.y && column < columns.y {
                    sum += lhs_at(u32(start + (plane * Y.extent + row) * X.extent + column));
                }
            }
        }
    }
    return sum;
}
