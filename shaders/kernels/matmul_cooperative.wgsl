// Matrix product with a GPU's matrix instructions: operands of f16, sums of f32. A workgroup's tile is cut into parts, one for each subgroup,
// and a part into fragments, which an instruction multiplies and adds. Instructions read fragments from workgroup memory, where all
// invocations write the operands' next blocks, and results leave through it, since no element of a fragment can be reached. Written
// out by hand, as are all sums: a loop that a compiler does not unroll would put them into memory.
#import fragment/sixteen
#import constants/cooperative
#import blocks/quads

// Parts, and how many are side by side.
const PARTS = TOTAL_THREADS / LANES;
const PARTS_ACROSS = TILE_COLUMNS / (FRAGMENT * FRAGMENT_COLUMNS);
const PART_ROWS = FRAGMENT * FRAGMENT_ROWS;
const PART_COLUMNS = FRAGMENT * FRAGMENT_COLUMNS;
const FRAGMENT_LENGTH = FRAGMENT * FRAGMENT;

// A fragment of each part at a time; or the parts of sums of rows.
var<workgroup> results: array<f32, max(PARTS * FRAGMENT_LENGTH, TILE_ROWS * INNER_QUADS)>;

// Sums of a part's fragments, by row and column; it has as many as its constants say.
struct Sums {
    sum00: Sum,
    sum01: Sum,
    sum02: Sum,
    sum03: Sum,
    sum10: Sum,
    sum11: Sum,
    sum12: Sum,
    sum13: Sum,
    sum20: Sum,
    sum21: Sum,
    sum22: Sum,
    sum23: Sum,
    sum30: Sum,
    sum31: Sum,
    sum32: Sum,
    sum33: Sum,
}

fn load_left(first: u32) -> Left {
    return coopLoadT<Left>(&lhs_tile[first], LINE);
}

fn load_right(first: u32) -> Right {
    return coopLoad<Right>(&rhs_tile[first], LINE);
}

// Adds the products of the next inner indices, whose lines of both operands begin at these.
fn multiply(sums: ptr<function, Sums>, lhs_first: u32, rhs_first: u32) {
    const NEXT = FRAGMENT * LINE;
    let right0 = load_right(rhs_first);
    var right1: Right;
    if FRAGMENT_COLUMNS > 1u {
        right1 = load_right(rhs_first + NEXT);
    }
    var right2: Right;
    var right3: Right;
    if FRAGMENT_COLUMNS > 2u {
        right2 = load_right(rhs_first + 2u * NEXT);
        right3 = load_right(rhs_first + 3u * NEXT);
    }
    let left0 = load_left(lhs_first);
    (*sums).sum00 = coopMultiplyAdd(left0, right0, (*sums).sum00);
    if FRAGMENT_COLUMNS > 1u {
        (*sums).sum01 = coopMultiplyAdd(left0, right1, (*sums).sum01);
    }
    if FRAGMENT_COLUMNS > 2u {
        (*sums).sum02 = coopMultiplyAdd(left0, right2, (*sums).sum02);
        (*sums).sum03 = coopMultiplyAdd(left0, right3, (*sums).sum03);
    }
    if FRAGMENT_ROWS > 1u {
        let left1 = load_left(lhs_first + NEXT);
        (*sums).sum10 = coopMultiplyAdd(left1, right0, (*sums).sum10);
        if FRAGMENT_COLUMNS > 1u {
            (*sums).sum11 = coopMultiplyAdd(left1, right1, (*sums).sum11);
        }
        if FRAGMENT_COLUMNS > 2u {
            (*sums).sum12 = coopMultiplyAdd(left1, right2, (*sums).sum12);
            (*sums).sum13 = coopMultiplyAdd(left1, right3, (*sums).sum13);
        }
    }
    if FRAGMENT_ROWS > 2u {
        let left2 = load_left(lhs_first + 2u * NEXT);
        (*sums).sum20 = coopMultiplyAdd(left2, right0, (*sums).sum20);
        if FRAGMENT_COLUMNS > 1u {
            (*sums).sum21 = coopMultiplyAdd(left2, right1, (*sums).sum21);
        }
        if FRAGMENT_COLUMNS > 2u {
            (*sums).sum22 = coopMultiplyAdd(left2, right2, (*sums).sum22);
            (*sums).sum23 = coopMultiplyAdd(left2, right3, (*sums).sum23);
        }
        let left3 = load_left(lhs_first + 3u * NEXT);
        (*sums).sum30 = coopMultiplyAdd(left3, right0, (*sums).sum30);
        if FRAGMENT_COLUMNS > 1u {
            (*sums).sum31 = coopMultiplyAdd(left3, right1, (*sums).sum31);
        }
        if FRAGMENT_COLUMNS > 2u {
            (*sums).sum32 = coopMultiplyAdd(left3, right2, (*sums).sum32);
            (*sums).sum33 = coopMultiplyAdd(left3, right3, (*sums).sum33);
        }
    }
}

// Writes one of a part's fragments to where invocations can reach its elements.
fn write_fragment(sums: ptr<function, Sums>, row: u32, column: u32, at: u32) {
    switch row * 4u + column {
        case 0u: {
            coopStoreT((*sums).sum00, &results[at], FRAGMENT);
        }
        case 1u: {
            if FRAGMENT_COLUMNS > 1u {
                coopStoreT((*sums).sum01, &results[at], FRAGMENT);
            }
        }
        case 2u: {
            if FRAGMENT_COLUMNS > 2u {
                coopStoreT((*sums).sum02, &results[at], FRAGMENT);
            }
        }
        case 3u: {
            if FRAGMENT_COLUMNS > 2u {
                coopStoreT((*sums).sum03, &results[at], FRAGMENT);
            }
        }
        case 4u: {
            if FRAGMENT_ROWS > 1u {
                coopStoreT((*sums).sum10, &results[at], FRAGMENT);
            }
        }
        case 5u: {
            if FRAGMENT_ROWS > 1u && FRAGMENT_COLUMNS > 1u {
                coopStoreT((*sums).sum11, &results[at], FRAGMENT);
            }
        }
        case 6u: {
            if FRAGMENT_ROWS > 1u && FRAGMENT_COLUMNS > 2u {
                coopStoreT((*sums).sum12, &results[at], FRAGMENT);
            }
        }
        case 7u: {
            if FRAGMENT_ROWS > 1u && FRAGMENT_COLUMNS > 2u {
                coopStoreT((*sums).sum13, &results[at], FRAGMENT);
            }
        }
        case 8u: {
            if FRAGMENT_ROWS > 2u {
                coopStoreT((*sums).sum20, &results[at], FRAGMENT);
            }
        }
        case 9u: {
            if FRAGMENT_ROWS > 2u && FRAGMENT_COLUMNS > 1u {
                coopStoreT((*sums).sum21, &results[at], FRAGMENT);
            }
        }
        case 10u: {
            if FRAGMENT_ROWS > 2u && FRAGMENT_COLUMNS > 2u {
                coopStoreT((*sums).sum22, &results[at], FRAGMENT);
            }
        }
        case 11u: {
            if FRAGMENT_ROWS > 2u && FRAGMENT_COLUMNS > 2u {
                coopStoreT((*sums).sum23, &results[at], FRAGMENT);
            }
        }
        case 12u: {
            if FRAGMENT_ROWS > 2u {
                coopStoreT((*sums).sum30, &results[at], FRAGMENT);
            }
        }
        case 13u: {
            if FRAGMENT_ROWS > 2u && FRAGMENT_COLUMNS > 1u {
                coopStoreT((*sums).sum31, &results[at], FRAGMENT);
            }
        }
        case 14u: {
            if FRAGMENT_ROWS > 2u && FRAGMENT_COLUMNS > 2u {
                coopStoreT((*sums).sum32, &results[at], FRAGMENT);
            }
        }
        case 15u: {
            if FRAGMENT_ROWS > 2u && FRAGMENT_COLUMNS > 2u {
                coopStoreT((*sums).sum33, &results[at], FRAGMENT);
            }
        }
        default: {}
    }
}

// Stores a fragment of each part; invocations share them evenly.
fn store_fragments(work: Work, local: u32, row: u32, column: u32) {
    let own = local / LANES;
    let first = vec2<u32>(first_row(work), first_column(work))
        + vec2<u32>(own / PARTS_ACROSS * PART_ROWS, own % PARTS_ACROSS * PART_COLUMNS)
        + vec2<u32>(row, column) * FRAGMENT;
    for (var quad = local % LANES; quad < FRAGMENT_LENGTH / 4u; quad += LANES) {
        let at = own * FRAGMENT_LENGTH + quad * 4u;
        let values = vec4<f32>(results[at], results[at + 1u], results[at + 2u], results[at + 3u]);
        store_quad(work, first.x + quad / (FRAGMENT / 4u), first.y + quad % (FRAGMENT / 4u) * 4u, values);
    }
}

// Adds what the invocations that load the same rows have found, in order.
fn store_row_sums(work: Work, local: u32, sums: vec4<f32>) {
    if !ROW_SUMS || work.tile.y > 0u {
        return;
    }
    workgroupBarrier();
    let block = lhs_block(local);
    for (var r = 0u; r < 4u; r++) {
        results[(block.x * 4u + r) * INNER_QUADS + block.y] = sums[r];
    }
    workgroupBarrier();
    let row = first_row(work) + local;
    if local < TILE_ROWS && row < params.rows {
        var sum = 0.0;
        for (var k = 0u; k < INNER_QUADS; k++) {
            sum += results[local * INNER_QUADS + k];
        }
        store_row_sum(work, row, sum);
    }
}

@compute @workgroup_size(TOTAL_THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
) {
    let number = group.y * params.grid_width + group.x;
    if !has_work(number) {
        return;
    }
    let work = work_of(number);
    let tiles = tile_count(work);
    var cursor = begin(work, local);
    var loaded = load_first(work, local, cursor);
    let first_step = step_of(work, first_length(work));
    workgroupBarrier();
    prepare(local, first_step);
    cursor = moved(cursor, first_step);
    let step = step_of(work, TILE_INNER);
    // Where subgroups are smaller than they may be, there are more than parts, and some do the same.
    let part = subgroup % PARTS;
    let lhs_first = part / PARTS_ACROSS * PART_ROWS * LINE;
    let rhs_first = part % PARTS_ACROSS * PART_COLUMNS * LINE;
    var sums: Sums;
    var row_parts: vec4<f32>;
    for (var tile = 0u; tile < tiles; tile++) {
        workgroupBarrier();
        write_tiles(local, loaded);
        if ROW_SUMS {
            row_parts += row_sums_of(loaded.lhs);
        }
        if tile > 0u {
            prepare(local, step);
        }
        workgroupBarrier();
        if tile + 1u < tiles {
            loaded = load_tiles(local, cursor);
            cursor = moved(cursor, step);
        }
        for (var k = 0u; k < TILE_INNER; k += FRAGMENT) {
            multiply(&sums, lhs_first + k, rhs_first + k);
        }
    }
    for (var row = 0u; row < FRAGMENT_ROWS; row++) {
        for (var column = 0u; column < FRAGMENT_COLUMNS; column++) {
            workgroupBarrier();
            write_fragment(&sums, row, column, part * FRAGMENT_LENGTH);
            workgroupBarrier();
            store_fragments(work, local, row, column);
        }
    }
    store_row_sums(work, local, row_parts);
}
