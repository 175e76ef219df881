// Convolution for software drivers, as `matmul_software`: a workgroup is one subgroup with its lanes along the columns, and each
// lane keeps ROWS × COLUMNS sums. The addresses of LANES inner indices in both operands are computed by a lane each, and shared by
// shuffles, which are nearly free. An iteration of the inner loop covers two inner indices, as in `matmul_software`.
#import constants/software
#import family/convolution_source
#import store/convolution

// Inner indices of an iteration. Of a single row, few sums are stored, and an index too many costs a load.
const INNER_STEP: u32 = select(1u, 2u, ROWS > 1u);

// A lane's columns: groups of four that are stored at once, or one of each LANES.
fn column_of(first: u32, c: u32) -> u32 {
    return select(first + LANES * c, first + 4u * LANES * (c / 4u) + c % 4u, QUADS);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let number = group.y * params.grid_width + group.x;
    if !has_work(number) {
        return;
    }
    let work = work_of(number);
    let row = work.tile.x * ROWS;
    let column = work.tile.y * (LANES * COLUMNS) + lane * select(1u, 4u, QUADS);
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
    for (var k = work.first; k < work.last; k += LANES) {
        let own = inner_offset(work, min(k + lane, work.last - 1u));
        var left: array<f32, ROWS>;
        for (var r = 0u; r < ROWS; r++) {
            // Beyond the end zeros, which meet zeros: an infinite number there would make NaN of them.
            left[r] = select(0.0, lhs_at(u32(lefts[r] + own.lhs)), k + lane < work.last);
        }
        let steps = min(LANES, work.last - k);
        for (var step = 0u; step < steps; step += INNER_STEP) {
            // After an odd number of indices, zeros.
            let has_second = INNER_STEP == 2u && step + 1u < steps;
            let address = subgroupShuffle(own.address, step);
            let at = subgroupShuffle(own.at, step);
            // The same lane where there is no second one: the lane behind the last does not exist, and what it has is not defined.
            let next = step + INNER_STEP - 1u;
            let second_address = subgroupShuffle(own.address, next);
            let second_at = subgroupShuffle(own.at, next);
            var right: array<f32, COLUMNS>;
            var second: array<f32, COLUMNS>;
            for (var c = 0u; c < COLUMNS; c++) {
                right[c] = load_source(rights[c] + address, positions[c] + at);
                second[c] = select(0.0, load_source(rights[c] + second_address, positions[c] + second_at), has_second);
            }
            for (var r = 0u; r < ROWS; r++) {
                let shared_left = subgroupShuffle(left[r], step);
                for (var c = 0u; c < COLUMNS; c++) {
                    sums[r][c] = fma(shared_left, right[c], sums[r][c]);
                }
                // An infinite number times the zeros of none would be NaN.
                if INNER_STEP == 2u {
                    let second_left = subgroupShuffle(left[r], next);
                    for (var c = 0u; c < COLUMNS; c++) {
                        sums[r][c] = fma(second_left, second[c], sums[r][c]);
                    }
                }
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
