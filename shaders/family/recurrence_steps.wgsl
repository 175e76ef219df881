// Used by recurrence, recurrence_backward.
// The loops of a recurrence, which both passes share. A pass has WIDTH sums of each unit. It says what they are sums of (`add_all_products`),
// which of them half of a step computes (`is_computed`), and what becomes of them (`finish_unit`), and at which binding the weight is.
#import family/recurrence
#import state_product/pieces
#import barrier/storage
#import step_store/words

// Products wait here: what follows is long, and is not to be written out once for each of them. One more than there are, since drivers
// write out a loop that is as long as its array.
var<private> products: array<array<f32, UNITS * ROWS + 1u>, WIDTH>;

// The units of an invocation: LANES apart, or two neighbours and the next two LANES behind.
fn unit_of(block: u32, index: u32, local: u32) -> u32 {
    if IN_PAIRS {
        return ((block * (UNITS / 2u) + index / 2u) * LANES + local) * 2u + index % 2u;
    }
    return (block * UNITS + index) * LANES + local;
}

// Of the units and rows of a block, one item. The second of two neighbouring units stores what both have.
fn finish(iteration: u32, half: u32, first_row: u32, block: u32, item: u32, local: u32, is_second: bool) {
    let unit = unit_of(block, item % UNITS, local);
    let row = first_row + item / UNITS;
    if unit < params.hidden && row < params.batch {
        finish_unit(iteration, half, row, unit, item, is_second);
    }
}

fn run_steps(number: u32, wave: u32, local: u32) {
    let first_row = number / sharing() * ROWS;
    let first_block = number % sharing() * params.blocks_each;
    let end_block = min(first_block + params.blocks_each, params.unit_blocks);
    for (var iteration = params.first; iteration < params.first + params.count; iteration++) {
        for (var half = params.first_half; half < params.end_half; half++) {
            for (var block = first_block + wave; block < end_block; block += WAVES) {
                var sums: array<array<array<f32, ROWS>, UNITS>, WIDTH>;
                var columns: array<array<u32, UNITS>, WIDTH>;
                for (var w = 0u; w < WIDTH; w++) {
                    for (var u = 0u; u < UNITS; u++) {
                        let unit = unit_of(block, u, local);
                        columns[w][u] = w * params.hidden + min(unit, params.hidden - 1u);
                        for (var r = 0u; r < ROWS; r++) {
                            sums[w][u][r] = 0.0;
                        }
                    }
                }
                add_all_products(&sums, iteration, half, first_row, columns, local);
                for (var w = 0u; w < WIDTH; w++) {
                    if is_computed(w, half) {
                        for (var u = 0u; u < UNITS; u++) {
                            for (var r = 0u; r < ROWS; r++) {
                                products[w][r * UNITS + u] = sums[w][u][r];
                            }
                        }
                    }
                }
                for (var item = 0u; item < UNITS * ROWS; item += ITEMS) {
                    finish(iteration, half, first_row, block, item, local, false);
                    if ITEMS > 1u {
                        finish(iteration, half, first_row, block, item + 1u, local, true);
                    }
                    if ITEMS > 2u {
                        finish(iteration, half, first_row, block, item + 2u, local, false);
                        finish(iteration, half, first_row, block, item + 3u, local, true);
                    }
                }
            }
            // What other invocations of the workgroup have stored is read in the next iteration.
            step_barrier();
        }
    }
}

// What an invocation does: `wave` is the number of its group of LANES in the workgroup, and `local` its own number in that group.
fn run_workgroup(workgroup: vec3<u32>, wave: u32, local: u32) {
    let number = workgroup.y * params.grid_width + workgroup.x;
    if has_work(number) {
        run_steps(number, wave, local);
    }
}
