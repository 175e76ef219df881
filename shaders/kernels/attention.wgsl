// Attention for hardware. A workgroup has 64 rows and works on 64 columns at a time; each of its 256 invocations has 4 × 4 of their
// products, and of every 64 elements of the sums. Operands pass through workgroup memory 16 inner indices at a time, and so do weights.
#import attention_pass/forward

// Groups of four rows, and of four columns; inner indices in workgroup memory.
const QUADS = 16u;
const INNER = 16u;
const TILE = 4u * QUADS;

var<workgroup> left_tile: array<vec4<f32>, INNER * QUADS>;
var<workgroup> right_tile: array<vec4<f32>, INNER * QUADS>;
var<workgroup> partials: array<vec4<f32>, QUADS * QUADS>;

// Four rows of four columns.
struct Block {
    row0: vec4<f32>,
    row1: vec4<f32>,
    row2: vec4<f32>,
    row3: vec4<f32>,
}

// Where an invocation is: its group of rows and its group of columns.
struct Own {
    index: u32,
    down: u32,
    across: u32,
}

// Groups of inner indices four apart are in different banks. Of four neighbours, offsets to the first are constants.
fn slot(k: u32, quad: u32) -> u32 {
    return k * QUADS + (quad ^ (k / 4u));
}

fn multiply(sums: ptr<function, Block>, left_slot: u32, right_slot: u32) {
    let left = left_tile[left_slot];
    let right = right_tile[right_slot];
    (*sums).row0 = fma(vec4<f32>(left.x), right, (*sums).row0);
    (*sums).row1 = fma(vec4<f32>(left.y), right, (*sums).row1);
    (*sums).row2 = fma(vec4<f32>(left.z), right, (*sums).row2);
    (*sums).row3 = fma(vec4<f32>(left.w), right, (*sums).row3);
}

// A compiler does not know where the loop ends, and so does not unroll it any more: registers would not hold what it loaded ahead.
fn multiply_tiles(sums: ptr<function, Block>, own: Own) {
    for (var k = 0u; k < INNER + params.zero; k += 4u) {
        let left = slot(k, own.down);
        let right = slot(k, own.across);
        multiply(sums, left, right);
        multiply(sums, left + QUADS, right + QUADS);
        multiply(sums, left + 2u * QUADS, right + 2u * QUADS);
        multiply(sums, left + 3u * QUADS, right + 3u * QUADS);
    }
}

// An element of a row; 0 beyond the last row or element.
fn guarded(tensor: u32, head: Head, row: u32, end: u32, element: u32, size: u32) -> f32 {
    let is_there = row < end && element < size;
    let address = row_start(tensor, head, min(row, end - 1u)) + i32(min(element, size - 1u)) * element_step(tensor);
    return select(0.0, element_at(tensor, address), is_there);
}

// The addresses of an element of four rows, those beyond the last taken for the last.
fn addresses(tensor: u32, head: Head, row: u32, end: u32, element: u32) -> vec4<i32> {
    let of_rows = vec4<i32>(
        row_start(tensor, head, min(row, end - 1u)),
        row_start(tensor, head, min(row + 1u, end - 1u)),
        row_start(tensor, head, min(row + 2u, end - 1u)),
        row_start(tensor, head, min(row + 3u, end - 1u)),
    );
    return of_rows + i32(element) * element_step(tensor);
}

// The elements at these addresses; 0 for those beyond the last of a row.
fn elements_at(tensor: u32, at: vec4<i32>, element: u32, size: u32) -> vec4<f32> {
    var own = at;
    if size % INNER != 0u {
        own -= i32(max(element, size - 1u) - (size - 1u)) * element_step(tensor);
    }
    let values = vec4<f32>(
        element_at(tensor, own.x),
        element_at(tensor, own.y),
        element_at(tensor, own.z),
        element_at(tensor, own.w),
    );
    if size % INNER != 0u {
        return select(vec4<f32>(0.0), values, element < size);
    }
    return values;
}

// Four elements of a row that begins at an address; zeros where it is beyond the last row. Beyond the row's last element they are of others.
fn quad_at(tensor: u32, start: i32, element: u32, size: u32, is_there: bool) -> vec4<f32> {
    let last = size - 1u;
    var own = vec4<u32>(min(element, last), min(element + 1u, last), min(element + 2u, last), min(element + 3u, last));
    if size % 4u == 0u {
        own = vec4<u32>(min(element, size - 4u)) + vec4<u32>(0u, 1u, 2u, 3u);
    }
    let at = vec4<i32>(start) + vec4<i32>(own) * element_step(tensor);
    let values = vec4<f32>(
        element_at(tensor, at.x),
        element_at(tensor, at.y),
        element_at(tensor, at.z),
        element_at(tensor, at.w),
    );
    return select(vec4<f32>(0.0), values, is_there);
}

// The products of the workgroup's rows and some columns. Those of rows and columns beyond the last are of others, and are not used.
fn multiplied(product: u32, head: Head, first_row: u32, first_column: u32, own: Own) -> Block {
    var sums: Block;
    let size = product_size(product);
    let left = row_tensor(product);
    let right = column_tensor(product);
    let row = first_row + own.index / INNER * 4u;
    let column = first_column + own.index / INNER * 4u;
    let own_slot = slot(own.index % INNER, own.index / INNER);
    var k = own.index % INNER;
    var left_at = addresses(left, head, row, row_count(), k);
    var right_at = addresses(right, head, column, params.end_column, k);
    for (var first = 0u; first < size + params.zero; first += INNER) {
        workgroupBarrier();
        left_tile[own_slot] = elements_at(left, left_at, k, size);
        right_tile[own_slot] = elements_at(right, right_at, k, size);
        workgroupBarrier();
        multiply_tiles(&sums, own);
        k += INNER;
        left_at += i32(INNER) * element_step(left);
        right_at += i32(INNER) * element_step(right);
    }
    return sums;
}

// With 64 elements of the columns added, from `first_element` on, by weights that the invocations have.
fn with_weighted(
    before: Block,
    weights: Block,
    sum: u32,
    head: Head,
    first_column: u32,
    first_element: u32,
    own: Own,
) -> Block {
    var sums = before;
    let tensor = summed_tensor(sum);
    let element = first_element + own.index % QUADS * 4u;
    let last = params.end_column - 1u;
    var column = first_column + own.index / QUADS;
    for (var part = 0u; part < TILE / INNER + params.zero; part++) {
        let start = row_start(tensor, head, min(column, last));
        workgroupBarrier();
        if own.across / 4u == part {
            let k = own.across % 4u * 4u;
            left_tile[slot(k, own.down)] = vec4<f32>(weights.row0.x, weights.row1.x, weights.row2.x, weights.row3.x);
            left_tile[slot(k + 1u, own.down)] = vec4<f32>(weights.row0.y, weights.row1.y, weights.row2.y, weights.row3.y);
            left_tile[slot(k + 2u, own.down)] = vec4<f32>(weights.row0.z, weights.row1.z, weights.row2.z, weights.row3.z);
            left_tile[slot(k + 3u, own.down)] = vec4<f32>(weights.row0.w, weights.row1.w, weights.row2.w, weights.row3.w);
        }
        right_tile[slot(own.index / QUADS, own.index % QUADS)] =
            quad_at(tensor, start, element, depth_of(sum), column <= last);
        workgroupBarrier();
        multiply_tiles(&sums, own);
        column += INNER;
    }
    return sums;
}

// A sum of up to 256 elements of a row.
struct Sum {
    block0: Block,
    block1: Block,
    block2: Block,
    block3: Block,
}

fn add_block(sums: ptr<function, Sum>, weights: Block, sum: u32, head: Head, first_column: u32, own: Own) {
    (*sums).block0 = with_weighted((*sums).block0, weights, sum, head, first_column, 0u, own);
    if depth_of(sum) > TILE {
        (*sums).block1 = with_weighted((*sums).block1, weights, sum, head, first_column, TILE, own);
    }
    if depth_of(sum) > 2u * TILE {
        (*sums).block2 = with_weighted((*sums).block2, weights, sum, head, first_column, 2u * TILE, own);
    }
    if depth_of(sum) > 3u * TILE {
        (*sums).block3 = with_weighted((*sums).block3, weights, sum, head, first_column, 3u * TILE, own);
    }
}

fn scaled_rows(block: Block, factor: vec4<f32>) -> Block {
    return Block(block.row0 * factor.x, block.row1 * factor.y, block.row2 * factor.z, block.row3 * factor.w);
}

fn scaled_sum(sum: Sum, factor: vec4<f32>) -> Sum {
    return Sum(
        scaled_rows(sum.block0, factor),
        scaled_rows(sum.block1, factor),
        scaled_rows(sum.block2, factor),
        scaled_rows(sum.block3, factor),
    );
}

// The greatest and the sum over the invocations that share rows.
fn greatest_across(value: vec4<f32>, own: Own) -> vec4<f32> {
    workgroupBarrier();
    partials[own.across * QUADS + own.down] = value;
    workgroupBarrier();
    var greatest = value;
    for (var i = 0u; i < QUADS; i++) {
        greatest = max(greatest, partials[i * QUADS + own.down]);
    }
    return greatest;
}

fn sum_across(value: vec4<f32>, own: Own) -> vec4<f32> {
    workgroupBarrier();
    partials[own.across * QUADS + own.down] = value;
    workgroupBarrier();
    var sum = vec4<f32>(0.0);
    for (var i = 0u; i < QUADS; i++) {
        sum += partials[i * QUADS + own.down];
    }
    return sum;
}

fn load_quad(sum: u32, head: Head, row: u32, element: u32) -> vec4<f32> {
    let tensor = written_tensor(sum);
    let start = row_start(tensor, head, min(row, row_count() - 1u));
    let last = depth_of(sum) - 1u;
    return vec4<f32>(
        written(tensor, start + i32(min(element, last))),
        written(tensor, start + i32(min(element + 1u, last))),
        written(tensor, start + i32(min(element + 2u, last))),
        written(tensor, start + i32(min(element + 3u, last))),
    );
}

fn load_block(sum: u32, head: Head, row: u32, element: u32) -> Block {
    return Block(
        load_quad(sum, head, row, element),
        load_quad(sum, head, row + 1u, element),
        load_quad(sum, head, row + 2u, element),
        load_quad(sum, head, row + 3u, element),
    );
}

// What an earlier dispatch has stored.
fn load_sum(sum: u32, head: Head, row: u32, own: Own) -> Sum {
    let element = own.across * 4u;
    return Sum(
        load_block(sum, head, row, element),
        load_block(sum, head, row, element + TILE),
        load_block(sum, head, row, element + 2u * TILE),
        load_block(sum, head, row, element + 3u * TILE),
    );
}

fn store_quad(sum: u32, head: Head, row: u32, element: u32, values: vec4<f32>) {
    let tensor = written_tensor(sum);
    if row < row_count() {
        let start = row_start(tensor, head, row);
        for (var e = 0u; e < 4u; e++) {
            if element + e < depth_of(sum) {
                write(tensor, start + i32(element + e), values[e]);
            }
        }
    }
}

fn store_block(sum: u32, head: Head, row: u32, element: u32, block: Block) {
    store_quad(sum, head, row, element, block.row0);
    store_quad(sum, head, row + 1u, element, block.row1);
    store_quad(sum, head, row + 2u, element, block.row2);
    store_quad(sum, head, row + 3u, element, block.row3);
}

fn store_sum(sum: u32, head: Head, row: u32, own: Own, values: Sum) {
    let element = own.across * 4u;
    store_block(sum, head, row, element, values.block0);
    if depth_of(sum) > TILE {
        store_block(sum, head, row, element + TILE, values.block1);
    }
    if depth_of(sum) > 2u * TILE {
        store_block(sum, head, row, element + 2u * TILE, values.block2);
    }
    if depth_of(sum) > 3u * TILE {
        store_block(sum, head, row, element + 3u * TILE, values.block3);
    }
}

// The new scores of a row's four columns.
fn scores_of(products: vec4<f32>, head: Head, row: u32, column: u32, known: u32) -> vec4<f32> {
    return vec4<f32>(
        score_of(products.x, pair_index(head, row, column), known, column < params.end_column),
        score_of(products.y, pair_index(head, row, column + 1u), known, column + 1u < params.end_column),
        score_of(products.z, pair_index(head, row, column + 2u), known, column + 2u < params.end_column),
        score_of(products.w, pair_index(head, row, column + 3u), known, column + 3u < params.end_column),
    );
}

fn weights_of(scores: vec4<f32>, base: f32) -> vec4<f32> {
    return vec4<f32>(decay(scores.x - base), decay(scores.y - base), decay(scores.z - base), decay(scores.w - base));
}

// What the weights of a row's four columns are multiplied by after the softmax.
fn factors_of(head: Head, row: u32, column: u32) -> vec4<f32> {
    return vec4<f32>(
        weight_factor(pair_index(head, row, column)),
        weight_factor(pair_index(head, row, column + 1u)),
        weight_factor(pair_index(head, row, column + 2u)),
        weight_factor(pair_index(head, row, column + 3u)),
    );
}

fn greatest_of(values: vec4<f32>) -> f32 {
    return max(max(values.x, values.y), max(values.z, values.w));
}

fn sum_of(values: vec4<f32>) -> f32 {
    return (values.x + values.y) + (values.z + values.w);
}

// The weights and slopes of a row's four columns.
struct WeighedQuad {
    weights: vec4<f32>,
    slopes: vec4<f32>,
}

fn weighed_quad(
    products: vec4<f32>,
    upstream: vec4<f32>,
    head: Head,
    row: u32,
    column: u32,
    known: u32,
    sums: vec4<f32>,
    means: vec4<f32>,
) -> WeighedQuad {
    let end = params.end_column;
    let a = weighed(products.x, upstream.x, pair_index(head, row, column), known, column < end, sums.x, means.x);
    let b = weighed(products.y, upstream.y, pair_index(head, row, column + 1u), known, column + 1u < end, sums.y, means.y);
    let c = weighed(products.z, upstream.z, pair_index(head, row, column + 2u), known, column + 2u < end, sums.z, means.z);
    let d = weighed(products.w, upstream.w, pair_index(head, row, column + 3u), known, column + 3u < end, sums.w, means.w);
    return WeighedQuad(
        vec4<f32>(a.weight, b.weight, c.weight, d.weight),
        vec4<f32>(a.slope, b.slope, c.slope, d.slope),
    );
}

// Of four queries from one on: the logarithms of sums, and the means of gradients.
fn saved_quad(head: Head, query: u32) -> vec4<f32> {
    let last = params.queries - 1u;
    return vec4<f32>(
        saved(head, min(query, last)),
        saved(head, min(query + 1u, last)),
        saved(head, min(query + 2u, last)),
        saved(head, min(query + 3u, last)),
    );
}

fn means_quad(head: Head, query: u32) -> vec4<f32> {
    let last = params.queries - 1u;
    return vec4<f32>(
        mean_of(query_index(head, min(query, last))),
        mean_of(query_index(head, min(query + 1u, last))),
        mean_of(query_index(head, min(query + 2u, last))),
        mean_of(query_index(head, min(query + 3u, last))),
    );
}

fn save_quad(head: Head, query: u32, values: vec4<f32>) {
    for (var r = 0u; r < 4u; r++) {
        if query + r < params.queries {
            save(query_index(head, query + r), values[r]);
        }
    }
}

// An invocation's part of the mean of a query's gradients, the product of its result and that's gradient.
fn part_of_mean(head: Head, query: u32, own: Own) -> f32 {
    var sum = 0.0;
    for (var element = own.across; element < VALUE_SIZE; element += QUADS) {
        sum += guarded(RESULT, head, query, params.queries, element, VALUE_SIZE)
            * guarded(UPSTREAM, head, query, params.queries, element, VALUE_SIZE);
    }
    return sum;
}

@compute @workgroup_size(QUADS * QUADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let number = group.y * params.grid_width + group.x;
    let row_head = number / params.row_blocks % row_heads();
    let batch = number / params.row_blocks / row_heads();
    if batch >= params.batch {
        return;
    }
    let own = Own(local, local / QUADS, local % QUADS);
    let first_row = number % params.row_blocks * TILE;
    let row = first_row + own.down * 4u;
    let own_head = head_of(batch, row_head, 0u);
    var first_sum: Sum;
    var second_sum: Sum;
    // Of queries: in the forward pass the greatest score so far and the sum of exponentials relative to it, an invocation's part; in the
    // backward pass the logarithm of the sum, and the mean of gradients.
    var greatest = vec4<f32>(negative_infinity());
    var totals = vec4<f32>(0.0);
    if params.continues == 1u {
        first_sum = load_sum(0u, own_head, row, own);
        if SECOND_DEPTH > 0u {
            second_sum = load_sum(1u, own_head, row, own);
        }
        if FORWARD {
            greatest = saved_quad(own_head, row);
            for (var r = 0u; r < 4u; r++) {
                totals[r] = select(0.0, 1.0, own.across == 0u && !is_hidden(greatest[r]));
            }
        }
    }
    if !FORWARD && !OF_KEYS {
        greatest = saved_quad(own_head, row);
        let parts = vec4<f32>(
            part_of_mean(own_head, row, own),
            part_of_mean(own_head, row + 1u, own),
            part_of_mean(own_head, row + 2u, own),
            part_of_mean(own_head, row + 3u, own),
        );
        totals = sum_across(parts, own);
    }
    for (var member = 0u; member < column_heads(); member++) {
        let head = head_of(batch, row_head, member);
        for (var first = params.first_column; first < params.end_column; first += TILE) {
            let known = known_of(head, first_row, TILE, first, TILE);
            if known == HIDDEN {
                continue;
            }
            let column = first + own.across * 4u;
            let products = multiplied(0u, head, first_row, first, own);
            if FORWARD {
                let scores = Block(
                    scores_of(products.row0, head, row, column, known),
                    scores_of(products.row1, head, row + 1u, column, known),
                    scores_of(products.row2, head, row + 2u, column, known),
                    scores_of(products.row3, head, row + 3u, column, known),
                );
                let top = vec4<f32>(
                    greatest_of(scores.row0),
                    greatest_of(scores.row1),
                    greatest_of(scores.row2),
                    greatest_of(scores.row3),
                );
                let before = greatest;
                greatest = max(before, greatest_across(top, own));
                let base =
                    vec4<f32>(base_of(greatest.x), base_of(greatest.y), base_of(greatest.z), base_of(greatest.w));
                let factor = vec4<f32>(
                    decay(before.x - base.x),
                    decay(before.y - base.y),
                    decay(before.z - base.z),
                    decay(before.w - base.w),
                );
                var weights = Block(
                    weights_of(scores.row0, base.x),
                    weights_of(scores.row1, base.y),
                    weights_of(scores.row2, base.z),
                    weights_of(scores.row3, base.w),
                );
                totals = totals * factor
                    + vec4<f32>(sum_of(weights.row0), sum_of(weights.row1), sum_of(weights.row2), sum_of(weights.row3));
                if DROPS {
                    weights.row0 *= factors_of(head, row, column);
                    weights.row1 *= factors_of(head, row + 1u, column);
                    weights.row2 *= factors_of(head, row + 2u, column);
                    weights.row3 *= factors_of(head, row + 3u, column);
                }
                first_sum = scaled_sum(first_sum, factor);
                add_block(&first_sum, weights, 0u, head, first, own);
                continue;
            }
            let upstream = multiplied(1u, head, first_row, first, own);
            // A query's own numbers are its row's, or its column's.
            var sums0 = vec4<f32>(greatest.x);
            var sums1 = vec4<f32>(greatest.y);
            var sums2 = vec4<f32>(greatest.z);
            var sums3 = vec4<f32>(greatest.w);
            var means0 = vec4<f32>(totals.x);
            var means1 = vec4<f32>(totals.y);
            var means2 = vec4<f32>(totals.z);
            var means3 = vec4<f32>(totals.w);
            if OF_KEYS {
                sums0 = saved_quad(head, column);
                means0 = means_quad(head, column);
                sums1 = sums0;
                sums2 = sums0;
                sums3 = sums0;
                means1 = means0;
                means2 = means0;
                means3 = means0;
            }
            let quad0 = weighed_quad(products.row0, upstream.row0, head, row, column, known, sums0, means0);
            let quad1 = weighed_quad(products.row1, upstream.row1, head, row + 1u, column, known, sums1, means1);
            let quad2 = weighed_quad(products.row2, upstream.row2, head, row + 2u, column, known, sums2, means2);
            let quad3 = weighed_quad(products.row3, upstream.row3, head, row + 3u, column, known, sums3, means3);
            let slopes = Block(quad0.slopes, quad1.slopes, quad2.slopes, quad3.slopes);
            if OF_KEYS {
                let weights = Block(quad0.weights, quad1.weights, quad2.weights, quad3.weights);
                add_block(&first_sum, weights, 0u, head, first, own);
                add_block(&second_sum, slopes, 1u, head, first, own);
            } else {
                add_block(&first_sum, slopes, 0u, head, first, own);
            }
        }
    }
    if FORWARD {
        let total = sum_across(totals, own);
        var factor: vec4<f32>;
        var logarithms: vec4<f32>;
        for (var r = 0u; r < 4u; r++) {
            // A query that saw nothing has zeros.
            factor[r] = select(1.0 / total[r], 0.0, is_zero(total[r]));
            logarithms[r] = select(greatest[r] + natural_logarithm(total[r]), negative_infinity(), is_zero(total[r]));
        }
        first_sum = scaled_sum(first_sum, factor);
        if own.across == 0u {
            save_quad(own_head, row, logarithms);
        }
    } else if !OF_KEYS && own.across == 0u {
        save_quad(own_head, row, totals);
    }
    store_sum(0u, own_head, row, own, first_sum);
    if SECOND_DEPTH > 0u {
        store_sum(1u, own_head, row, own, second_sum);
    }
}
