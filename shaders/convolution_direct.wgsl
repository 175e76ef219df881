// Convolution without workgroup memory: each invocation computes ROWS × COLUMNS elements straight from the operands. For groups of
// few channels (depthwise above all), small convolutions, and software drivers without subgroups.
#import shared/convolution

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let number = group.y * params.grid_width + group.x;
    if !has_work(number) {
        return;
    }
    let work = work_of(number);
    let row = work.tile.x * ROWS;
    let column = work.tile.y * (64u * COLUMNS) + local;
    var sums: array<array<f32, COLUMNS>, ROWS>;
    var lefts: array<i32, ROWS>;
    var rights: array<i32, COLUMNS>;
    var positions: array<vec3<i32>, COLUMNS>;
    // Places over the edge read the last row or column again, and are not stored.
    for (var r = 0u; r < ROWS; r++) {
        lefts[r] = work.lhs_start + i32(min(row + r, params.rows - 1u)) * params.lhs_row;
        for (var c = 0u; c < COLUMNS; c++) {
            sums[r][c] = 0.0;
        }
    }
    for (var c = 0u; c < COLUMNS; c++) {
        let found = column_place(work, split_column(min(column + 64u * c, params.columns - 1u)));
        rights[c] = work.rhs_start + found.address;
        positions[c] = found.at;
    }
    for (var k = work.first; k < work.last; k++) {
        let inner = inner_place(work, k);
        var right: array<f32, COLUMNS>;
        for (var c = 0u; c < COLUMNS; c++) {
            right[c] = load_source(rights[c] + inner.address, positions[c] + inner.at);
        }
        for (var r = 0u; r < ROWS; r++) {
            let left = lhs[u32(lefts[r] + inner.lhs)];
            for (var c = 0u; c < COLUMNS; c++) {
                sums[r][c] = fma(left, right[c], sums[r][c]);
            }
        }
    }
    for (var c = 0u; c < COLUMNS; c++) {
        if column + 64u * c < params.columns {
            let place = split_column(column + 64u * c);
            for (var r = 0u; r < ROWS; r++) {
                if row + r < params.rows {
                    store(work, row + r, place, sums[r][c]);
                }
            }
        }
    }
}
