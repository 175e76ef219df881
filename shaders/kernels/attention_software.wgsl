// Attention for software drivers, where a workgroup is a task of a CPU thread and an invocation a lane of its vector unit. A workgroup is
// one subgroup with ROWS rows, and works on COLUMNS vectors of columns at a time: lanes are along the columns for the products and
// weights, and along a row's elements for the sums. What costs there is the load, so rows and weights are shared by shuffles, and a load
// returns two neighbours where the layout allows it.
#import constants/attention_software
#import attention_pass/forward

alias Products = array<array<f32, COLUMNS>, ROWS>;

// A lane's elements of a sum: pairs of neighbours.
const VECTORS = (max(FIRST_DEPTH, SECOND_DEPTH) + 2u * LANES - 1u) / (2u * LANES) * 2u;
alias Sums = array<array<f32, VECTORS>, ROWS>;

fn element_of_lane(lane: u32, vector: u32) -> u32 {
    return vector / 2u * 2u * LANES + 2u * lane + vector % 2u;
}

// The products of rows and columns, whose addresses are given.
fn multiplied(product: u32, rows: array<i32, ROWS>, columns: array<i32, COLUMNS>, lane: u32) -> Products {
    var row = rows;
    var column = columns;
    var sums: Products;
    let size = product_size(product);
    let row_step = element_step(row_tensor(product));
    let column_step = element_step(column_tensor(product));
    // A lane loads two elements of each row, which shuffles share.
    for (var first = 0u; first < size; first += 2u * LANES) {
        let own = first + 2u * lane;
        let at = min(own, (size - 1u) / 2u * 2u);
        var left: array<vec2<f32>, ROWS>;
        for (var r = 0u; r < ROWS; r++) {
            let pair = pair_at(row_tensor(product), row[r] + i32(at) * row_step, at + 1u < size);
            left[r] = select(vec2<f32>(0.0), pair, own < size);
        }
        let steps = min(LANES, (size - first + 1u) / 2u);
        for (var step = 0u; step < steps; step++) {
            let k = first + 2u * step;
            var right: array<vec2<f32>, COLUMNS>;
            for (var c = 0u; c < COLUMNS; c++) {
                right[c] = pair_at(column_tensor(product), column[c] + i32(k) * column_step, k + 1u < size);
            }
            for (var r = 0u; r < ROWS; r++) {
                let one = subgroupShuffle(left[r].x, step);
                let other = subgroupShuffle(left[r].y, step);
                for (var c = 0u; c < COLUMNS; c++) {
                    sums[r][c] = fma(other, right[c].y, fma(one, right[c].x, sums[r][c]));
                }
            }
        }
    }
    return sums;
}

// A column of the weights, which lanes have.
fn column_of(weights: ptr<function, Products>, c: u32) -> array<f32, ROWS> {
    var found: array<f32, ROWS>;
    for (var r = 0u; r < ROWS; r++) {
        found[r] = (*weights)[r][c];
    }
    return found;
}

// Adds the elements of LANES columns from `first` on, by weights that lanes have.
fn add_weighted(sum: u32, sums: ptr<function, Sums>, weights: array<f32, ROWS>, head: Head, first: u32, lane: u32) {
    var weight = weights;
    let tensor = summed_tensor(sum);
    let step = element_step(tensor);
    let depth = depth_of(sum);
    let count = min(LANES, params.end_column - min(first, params.end_column));
    for (var index = 0u; index < count; index++) {
        let start = row_start(tensor, head, first + index);
        var elements: array<f32, VECTORS>;
        for (var e = 0u; e < VECTORS; e += 2u) {
            // Beyond the last element is that again; it is not stored.
            let element = min(element_of_lane(lane, e), (depth - 1u) / 2u * 2u);
            let pair = pair_at(tensor, start + i32(element) * step, element + 1u < depth);
            elements[e] = pair.x;
            elements[e + 1u] = pair.y;
        }
        for (var r = 0u; r < ROWS; r++) {
            let factor = subgroupShuffle(weight[r], index);
            for (var e = 0u; e < VECTORS; e++) {
                (*sums)[r][e] = fma(factor, elements[e], (*sums)[r][e]);
            }
        }
    }
}

// The same of all columns of a block.
fn add_block(sum: u32, sums: ptr<function, Sums>, weights: ptr<function, Products>, head: Head, first: u32, lane: u32) {
    add_weighted(sum, sums, column_of(weights, 0u), head, first, lane);
    if COLUMNS > 1u {
        add_weighted(sum, sums, column_of(weights, 1u % COLUMNS), head, first + LANES, lane);
    }
    if COLUMNS > 2u {
        add_weighted(sum, sums, column_of(weights, 2u % COLUMNS), head, first + 2u * LANES, lane);
        add_weighted(sum, sums, column_of(weights, 3u % COLUMNS), head, first + 3u * LANES, lane);
    }
}

// The sums that an earlier dispatch has stored.
fn load_sums(sum: u32, head: Head, row_of: array<u32, ROWS>, lane: u32) -> Sums {
    var row = row_of;
    var sums: Sums;
    let tensor = written_tensor(sum);
    for (var r = 0u; r < ROWS; r++) {
        for (var e = 0u; e < VECTORS; e++) {
            let element = min(element_of_lane(lane, e), depth_of(sum) - 1u);
            sums[r][e] = written(tensor, row_start(tensor, head, row[r]) + i32(element));
        }
    }
    return sums;
}

fn store_sums(sum: u32, sums: ptr<function, Sums>, factors: array<f32, ROWS>, head: Head, first_row: u32, lane: u32) {
    var factor = factors;
    let tensor = written_tensor(sum);
    for (var r = 0u; r < ROWS; r++) {
        if first_row + r < row_count() {
            for (var e = 0u; e < VECTORS; e++) {
                let element = element_of_lane(lane, e);
                if element < depth_of(sum) {
                    write(tensor, row_start(tensor, head, first_row + r) + i32(element), (*sums)[r][e] * factor[r]);
                }
            }
        }
    }
}

// Over all lanes, by shuffles whose distances are written out: a loop over them would keep drivers from unrolling those around it.
fn sum_of_lanes(value: f32) -> f32 {
    var sum = value + subgroupShuffleXor(value, 1u);
    sum += subgroupShuffleXor(sum, 2u);
    if LANES > 4u {
        sum += subgroupShuffleXor(sum, 4u);
    }
    if LANES > 8u {
        sum += subgroupShuffleXor(sum, 8u);
    }
    if LANES > 16u {
        sum += subgroupShuffleXor(sum, 16u);
    }
    if LANES > 32u {
        sum += subgroupShuffleXor(sum, 32u);
    }
    return sum;
}

fn greatest_of_lanes(value: f32) -> f32 {
    var greatest = max(value, subgroupShuffleXor(value, 1u));
    greatest = max(greatest, subgroupShuffleXor(greatest, 2u));
    if LANES > 4u {
        greatest = max(greatest, subgroupShuffleXor(greatest, 4u));
    }
    if LANES > 8u {
        greatest = max(greatest, subgroupShuffleXor(greatest, 8u));
    }
    if LANES > 16u {
        greatest = max(greatest, subgroupShuffleXor(greatest, 16u));
    }
    if LANES > 32u {
        greatest = max(greatest, subgroupShuffleXor(greatest, 32u));
    }
    return greatest;
}

// The mean of a query's gradients: the product of its result and that's gradient.
fn mean_of_gradients(head: Head, query: u32, lane: u32) -> f32 {
    let result = row_start(RESULT, head, query);
    let upstream = row_start(UPSTREAM, head, query);
    var sum = 0.0;
    for (var first = 0u; first < VALUE_SIZE; first += LANES) {
        let element = min(first + lane, VALUE_SIZE - 1u);
        let a = element_at(RESULT, result + i32(element) * element_step(RESULT));
        let b = element_at(UPSTREAM, upstream + i32(element) * element_step(UPSTREAM));
        sum += select(0.0, a * b, first + lane < VALUE_SIZE);
    }
    return sum_of_lanes(sum);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let number = group.y * params.grid_width + group.x;
    let row_head = number / params.row_blocks % row_heads();
    let batch = number / params.row_blocks / row_heads();
    if batch >= params.batch {
        return;
    }
    let first_row = number % params.row_blocks * ROWS;
    let own = head_of(batch, row_head, 0u);
    // Rows beyond the last one are the last one again, and are not stored.
    var row_of: array<u32, ROWS>;
    var lefts: array<i32, ROWS>;
    var other_lefts: array<i32, ROWS>;
    for (var r = 0u; r < ROWS; r++) {
        row_of[r] = min(first_row + r, row_count() - 1u);
        lefts[r] = row_start(row_tensor(0u), own, row_of[r]);
        if !FORWARD {
            other_lefts[r] = row_start(row_tensor(1u), own, row_of[r]);
        }
    }
    var first_sums: Sums;
    var second_sums: Sums;
    if params.continues == 1u {
        first_sums = load_sums(0u, own, row_of, lane);
        if SECOND_DEPTH > 0u {
            second_sums = load_sums(1u, own, row_of, lane);
        }
    }
    // Of queries: in the forward pass the greatest score so far and the sum of exponentials relative to it, each lane's part; in the
    // backward pass the logarithm of the sum, and the mean of gradients.
    var greatest: array<f32, ROWS>;
    var totals: array<f32, ROWS>;
    for (var r = 0u; r < ROWS; r++) {
        greatest[r] = negative_infinity();
        if FORWARD && params.continues == 1u {
            greatest[r] = saved(own, row_of[r]);
            totals[r] = select(0.0, 1.0, lane == 0u && !is_hidden(greatest[r]));
        }
        if !FORWARD && !OF_KEYS {
            greatest[r] = saved(own, row_of[r]);
            totals[r] = mean_of_gradients(own, row_of[r], lane);
        }
    }
    for (var member = 0u; member < column_heads(); member++) {
        let head = head_of(batch, row_head, member);
        for (var first = params.first_column; first < params.end_column; first += LANES * COLUMNS) {
            let known = known_of(head, first_row, ROWS, first, LANES * COLUMNS);
            if known == HIDDEN {
                continue;
            }
            var column_at: array<u32, COLUMNS>;
            var there: array<bool, COLUMNS>;
            var rights: array<i32, COLUMNS>;
            for (var c = 0u; c < COLUMNS; c++) {
                let column = first + c * LANES + lane;
                there[c] = column < params.end_column;
                column_at[c] = min(column, params.end_column - 1u);
                rights[c] = row_start(column_tensor(0u), head, column_at[c]);
            }
            var weights = multiplied(0u, lefts, rights, lane);
            var slopes: Products;
            if FORWARD {
                for (var r = 0u; r < ROWS; r++) {
                    var top = negative_infinity();
                    for (var c = 0u; c < COLUMNS; c++) {
                        let at = pair_index(head, row_of[r], column_at[c]);
                        weights[r][c] = score_of(weights[r][c], at, known, there[c]);
                        top = max(top, weights[r][c]);
                    }
                    let before = greatest[r];
                    greatest[r] = max(before, greatest_of_lanes(top));
                    let base = base_of(greatest[r]);
                    let factor = decay(before - base);
                    totals[r] *= factor;
                    for (var e = 0u; e < VECTORS; e++) {
                        first_sums[r][e] *= factor;
                    }
                    for (var c = 0u; c < COLUMNS; c++) {
                        weights[r][c] = decay(weights[r][c] - base);
                        totals[r] += weights[r][c];
                        if DROPS {
                            weights[r][c] *= weight_factor(pair_index(head, row_of[r], column_at[c]));
                        }
                    }
                }
            } else {
                for (var c = 0u; c < COLUMNS; c++) {
                    rights[c] = row_start(column_tensor(1u), head, column_at[c]);
                }
                slopes = multiplied(1u, other_lefts, rights, lane);
                for (var c = 0u; c < COLUMNS; c++) {
                    var sum = 0.0;
                    var mean = 0.0;
                    if OF_KEYS {
                        sum = saved(head, column_at[c]);
                        mean = mean_of(query_index(head, column_at[c]));
                    }
                    for (var r = 0u; r < ROWS; r++) {
                        if !OF_KEYS {
                            sum = greatest[r];
                            mean = totals[r];
                        }
                        let at = pair_index(head, row_of[r], column_at[c]);
                        let found = weighed(weights[r][c], slopes[r][c], at, known, there[c], sum, mean);
                        weights[r][c] = found.weight;
                        slopes[r][c] = found.slope;
                    }
                }
            }
            // For queries in the backward pass, the only sum is by the gradients.
            if !FORWARD && !OF_KEYS {
                weights = slopes;
            }
            add_block(0u, &first_sums, &weights, head, first, lane);
            if SECOND_DEPTH > 0u {
                add_block(1u, &second_sums, &slopes, head, first, lane);
            }
        }
    }
    var factors: array<f32, ROWS>;
    for (var r = 0u; r < ROWS; r++) {
        factors[r] = 1.0;
        let is_stored = lane == 0u && first_row + r < row_count();
        if FORWARD {
            let total = sum_of_lanes(totals[r]);
            // A query that saw nothing has zeros.
            factors[r] = select(1.0 / total, 0.0, is_zero(total));
            if is_stored {
                let sum = select(greatest[r] + natural_logarithm(total), negative_infinity(), is_zero(total));
                save(query_index(own, row_of[r]), sum);
            }
        } else if !OF_KEYS && is_stored {
            save(query_index(own, row_of[r]), totals[r]);
        }
    }
    store_sums(0u, &first_sums, factors, own, first_row, lane);
    if SECOND_DEPTH > 0u {
        store_sums(1u, &second_sums, factors, own, first_row, lane);
    }
}
