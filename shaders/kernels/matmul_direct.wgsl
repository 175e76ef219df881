// Matrix product without workgroup memory: each invocation computes ROWS × COLUMNS elements straight from the operands.
// For small products, and for software drivers without subgroups, whose workgroup memory is slower than their caches.
#import constants/direct
#import store/matrix

// An invocation's columns: groups of four that are stored at once, or one of each eight.
fn column_of(first: u32, c: u32) -> u32 {
    return select(first + 8u * c, first + 32u * (c / 4u) + c % 4u, QUADS);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let number = group.y * params.grid_width + group.x;
    if !has_work(number) {
        return;
    }
    let work = work_of(number);
    // Eight invocations side by side read neighbouring columns; eight below each other share them.
    let row = work.tile.x * (8u * ROWS) + (local / 8u) * ROWS;
    let column = work.tile.y * (8u * COLUMNS) + (local % 8u) * select(1u, 4u, QUADS);
    var sums: array<array<f32, COLUMNS>, ROWS>;
    var lefts: array<i32, ROWS>;
    var rights: array<i32, COLUMNS>;
    var row_parts: array<f32, ROWS>;
    // Rows and columns over the edge read the last one again, and are not stored.
    for (var r = 0u; r < ROWS; r++) {
        lefts[r] = work.lhs_start + i32(min(row + r, params.rows - 1u)) * params.lhs_row;
        for (var c = 0u; c < COLUMNS; c++) {
            sums[r][c] = 0.0;
        }
    }
    for (var c = 0u; c < COLUMNS; c++) {
        rights[c] = work.rhs_start + i32(min(column_of(column, c), params.columns - 1u)) * params.rhs_column;
    }
    for (var k = work.first; k < work.last; k++) {
        let lhs_step = i32(k) * params.lhs_inner;
        let rhs_step = i32(k) * params.rhs_inner;
        var right: array<f32, COLUMNS>;
        for (var c = 0u; c < COLUMNS; c++) {
            right[c] = rhs_at(u32(rights[c] + rhs_step));
        }
        for (var r = 0u; r < ROWS; r++) {
            let left = lhs_at(u32(lefts[r] + lhs_step));
            if ROW_SUMS {
                row_parts[r] += left;
            }
            for (var c = 0u; c < COLUMNS; c++) {
                sums[r][c] = fma(left, right[c], sums[r][c]);
            }
        }
    }
    for (var r = 0u; r < ROWS; r++) {
        if QUADS {
            for (var c = 0u; c + 3u < COLUMNS; c += 4u) {
                let quad = vec4<f32>(sums[r][c], sums[r][c + 1u], sums[r][c + 2u], sums[r][c + 3u]);
                store_quad(work, row + r, column_of(column, c), quad);
            }
            continue;
        }
        for (var c = 0u; c < COLUMNS; c++) {
            if row + r < params.rows && column_of(column, c) < params.columns {
                store(work, row + r, column_of(column, c), sums[r][c]);
            }
        }
    }
    if ROW_SUMS && column == 0u {
        for (var r = 0u; r < ROWS; r++) {
            if row + r < params.rows {
                store_row_sum(work, row + r, row_parts[r]);
            }
        }
    }
}
