// Matrix product for software drivers, where a workgroup is a task of a CPU thread and an invocation a lane of its vector
// unit. A workgroup is one subgroup with its lanes along the columns; each lane keeps ROWS × COLUMNS sums. What costs
// there is the load, one element a lane at a time: LANES inner indices of the left operand are loaded at once, one a lane,
// and shared by a shuffle, which is nearly free. An iteration of the inner loop covers two inner indices: the driver stores
// each sum under the mask of active lanes once an iteration, and more indices leave the processor's instruction cache. Where the
// right operand's layout allows it, a load returns two neighbours.
#import constants/software
#import constants/pairs
#import store/matrix

// A lane's columns are groups of neighbours: four that are stored at once, two that are loaded at once, or one of each LANES.
const NEIGHBOURS: u32 = select(select(1u, 2u, ALONG_COLUMNS), 4u, QUADS);

fn column_of(first: u32, c: u32) -> u32 {
    return first + NEIGHBOURS * LANES * (c / NEIGHBOURS) + c % NEIGHBOURS;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let number = group.y * params.grid_width + group.x;
    if !has_work(number) {
        return;
    }
    let work = work_of(number);
    let row = work.tile.x * ROWS;
    let column = work.tile.y * (LANES * COLUMNS) + lane * NEIGHBOURS;
    var sums: array<array<f32, COLUMNS>, ROWS>;
    var lefts: array<i32, ROWS>;
    var rights: array<i32, COLUMNS>;
    // Each lane's part of the sums of rows.
    var row_parts: array<f32, ROWS>;
    // Rows and columns over the edge read the last one again, and are not stored.
    for (var r = 0u; r < ROWS; r++) {
        lefts[r] = work.lhs_start + i32(min(row + r, params.rows - 1u)) * params.lhs_row;
        for (var c = 0u; c < COLUMNS; c++) {
            sums[r][c] = 0.0;
        }
    }
    let last_column = params.columns - select(1u, 2u, ALONG_COLUMNS);
    for (var c = 0u; c < COLUMNS; c++) {
        rights[c] = work.rhs_start + i32(min(column_of(column, c), last_column)) * params.rhs_column;
    }
    for (var k = work.first; k < work.last; k += LANES) {
        let lhs_step = i32(min(k + lane, work.last - 1u)) * params.lhs_inner;
        var left: array<f32, ROWS>;
        for (var r = 0u; r < ROWS; r++) {
            left[r] = select(0.0, lhs_at(u32(lefts[r] + lhs_step)), k + lane < work.last);
        }
        if ROW_SUMS {
            for (var r = 0u; r < ROWS; r++) {
                row_parts[r] += left[r];
            }
        }
        let steps = min(LANES, work.last - k);
        for (var step = 0u; step < steps; step += 2u) {
            // After an odd number of indices, zeros.
            let has_second = step + 1u < steps;
            let rhs_step = i32(k + step) * params.rhs_inner;
            let second_step = select(rhs_step, rhs_step + params.rhs_inner, has_second);
            var right: array<f32, COLUMNS>;
            var second: array<f32, COLUMNS>;
            for (var c = 0u; c < COLUMNS; c += select(1u, 2u, ALONG_COLUMNS)) {
                if ALONG_COLUMNS {
                    let pair = rhs_pair(u32(rights[c] + rhs_step));
                    let second_pair = rhs_pair(u32(rights[c] + second_step));
                    right[c] = pair.x;
                    right[c + 1u] = pair.y;
                    second[c] = select(0.0, second_pair.x, has_second);
                    second[c + 1u] = select(0.0, second_pair.y, has_second);
                } else if RHS_PAIRS {
                    // The number of inner indices is even.
                    let pair = rhs_pair(u32(rights[c] + rhs_step));
                    right[c] = pair.x;
                    second[c] = pair.y;
                } else {
                    right[c] = rhs_at(u32(rights[c] + rhs_step));
                    second[c] = select(0.0, rhs_at(u32(rights[c] + second_step)), has_second);
                }
            }
            for (var r = 0u; r < ROWS; r++) {
                let shared_left = subgroupShuffle(left[r], step);
                let second_left = subgroupShuffle(left[r], step + 1u);
                for (var c = 0u; c < COLUMNS; c++) {
                    sums[r][c] = fma(second_left, second[c], fma(shared_left, right[c], sums[r][c]));
                }
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
    if ROW_SUMS && work.tile.y == 0u {
        for (var r = 0u; r < ROWS; r++) {
            let sum = subgroupAdd(row_parts[r]);
            if lane == 0u && row + r < params.rows {
                store_row_sum(work, row + r, sum);
            }
        }
    }
}
