// Convolution without workgroup memory: each invocation computes ROWS × COLUMNS elements straight from the operands. For groups of
// few channels (depthwise above all), small convolutions, and software drivers without subgroups.
#import constants/direct
#import family/convolution_source
#import family/convolution_inner
#import store/convolution

// An invocation's columns: groups of four that are stored at once, or one of each 64.
fn column_of(first: u32, c: u32) -> u32 {
    return select(first + 64u * c, first + 4u * 64u * (c / 4u) + c % 4u, QUADS);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let number = group.y * params.grid_width + group.x;
    if !has_work(number) {
        return;
    }
    let work = work_of(number);
    let row = work.tile.x * ROWS;
    let column = work.tile.y * (64u * COLUMNS) + local * select(1u, 4u, QUADS);
    var sums: array<array<f32, COLUMNS>, ROWS>;
    var lefts: array<i32, ROWS>;
    var rights: array<i32, COLUMNS>;
    var positions: array<vec3<i32>, COLUMNS>;
    // Rows and columns over the edge read the last one again, and are not stored.
    for (var r = 0u; r < ROWS; r++) {
        lefts[r] = work.lhs_start + i32(min(row + r, params.rows - 1u)) * params.lhs_row;
        for (var c = 0u; c < COLUMNS; c++) {
            sums[r][c] = 0.0;
        }
    }
    for (var c = 0u; c < COLUMNS; c++) {
        let found = column_offset(work, split_column(min(column_of(column, c), params.columns - 1u)));
        rights[c] = work.rhs_start + found.address;
        positions[c] = found.at;
    }
    let next = step_of(work, 1u);
    var index = inner_at(work, work.first);
    for (var k = work.first; k < work.last; k++) {
        let inner = index.offset;
        index = inner_moved(index, next);
        var right: array<f32, COLUMNS>;
        for (var c = 0u; c < COLUMNS; c++) {
            right[c] = load_source(rights[c] + inner.address, positions[c] + inner.at);
        }
        for (var r = 0u; r < ROWS; r++) {
            let left = lhs_at(u32(lefts[r] + inner.lhs));
            for (var c = 0u; c < COLUMNS; c++) {
                sums[r][c] = fma(left, right[c], sums[r][c]);
            }
        }
    }
    if QUADS {
        for (var r = 0u; r < ROWS; r++) {
            for (var c = 0u; c + 3u < COLUMNS; c += 4u) {
                let quad = vec4<f32>(sums[r][c], sums[r][c + 1u], sums[r][c + 2u], sums[r][c + 3u]);
                store_quad(work, row + r, column_of(column, c), quad);
            }
        }
        return;
    }
    for (var c = 0u; c < COLUMNS; c++) {
        if column_of(column, c) < params.columns {
            let position = split_column(column_of(column, c));
            for (var r = 0u; r < ROWS; r++) {
                if row + r < params.rows {
                    store(work, row + r, position, sums[r][c]);
                }
            }
        }
    }
}
