// Used by attention_pass.
// What the kernels of attention share. A workgroup has some rows of one head and iterates over the columns: its rows are queries and the
// columns keys, or the other way round where the gradients of keys and values are wanted.
#import constants/attention
#import score/plain
#import shared/exponential
#import shared/logarithm

// Tensors, by their index in the parameters; the score's buffers follow.
const Q = 0u;
const K = 1u;
const V = 2u;
const RESULT = 3u;
const UPSTREAM = 4u;
const D_Q = 5u;
const D_K = 6u;
const D_V = 7u;
const SUMS = 8u;
const TENSORS = 9u;

// What is known of a block of pairs.
const NOTHING = 0u;
const UNCHANGED = 1u;
const HIDDEN = 2u;

struct Layout {
    // Strides of batch, heads, rows and elements of a row; of a buffer, of batch, heads, queries and keys.
    strides: vec4<i32>,
    offset: vec4<i32>,
}

struct Params {
    grid_width: u32,
    batch: u32,
    // Heads of queries, and how many of them share a head of keys.
    heads: u32,
    group: u32,
    queries: u32,
    keys: u32,
    row_blocks: u32,
    // The columns of this dispatch, and 1 where it continues what an earlier one has stored.
    first_column: u32,
    end_column: u32,
    continues: u32,
    scale: f32,
    // Always 0, which compilers do not know.
    zero: u32,
    layouts: array<Layout, TENSORS + BUFFERS>,
}
@group(0) @binding(0) var<uniform> params: Params;

// A workgroup's head.
struct Head {
    batch: u32,
    query_head: u32,
    key_head: u32,
}

// The address of a row's first element.
fn row_start(tensor: u32, head: Head, row: u32) -> i32 {
    let of_keys = tensor == K || tensor == V || tensor == D_K || tensor == D_V;
    let held = params.layouts[tensor];
    let index = vec3<i32>(i32(head.batch), i32(select(head.query_head, head.key_head, of_keys)), i32(row));
    return held.offset.x + index.x * held.strides.x + index.y * held.strides.y + index.z * held.strides.z;
}

// The distance of a row's elements.
fn element_step(tensor: u32) -> i32 {
    return params.layouts[tensor].strides.w;
}

// The address of a pair's element in a buffer of the score.
fn buffer_address(buffer: u32, at: vec4<i32>) -> u32 {
    let held = params.layouts[TENSORS + buffer];
    let steps = held.strides * at;
    return u32(held.offset.x + steps.x + steps.y + steps.z + steps.w);
}

// What has one number for each query of each head: the index.
fn query_index(head: Head, query: u32) -> u32 {
    return (head.batch * params.heads + head.query_head) * params.queries + query;
}

fn negative_infinity() -> f32 {
    return bitcast<f32>(0xff800000u ^ params.zero);
}

fn is_hidden(score: f32) -> bool {
    return bitcast<u32>(score) == 0xff800000u;
}

fn is_zero(value: f32) -> bool {
    return (bitcast<u32>(value) << 1u) == 0u;
}

// The new score of a product; −∞ where the pair is hidden, or `there` is false.
fn score_of(product: f32, at: vec4<i32>, known: u32, there: bool) -> f32 {
    var score = product * params.scale;
    if known != UNCHANGED {
        score = new_score(score, at);
    }
    return select(negative_infinity(), score, there);
}

// What is subtracted from scores: their greatest, where something is seen.
fn base_of(greatest: f32) -> f32 {
    return select(greatest, 0.0, is_hidden(greatest));
}

// A pair's weight, and the gradient of its product of query and key.
struct Weighed {
    weight: f32,
    slope: f32,
}

// `upstream` is the gradient of the weight, `sum` the logarithm of the query's sum, `mean` the mean of the query's gradients.
fn weighed(product: f32, upstream: f32, at: vec4<i32>, known: u32, there: bool, sum: f32, mean: f32) -> Weighed {
    let score = product * params.scale;
    let changed = score_of(product, at, known, there);
    let hidden = is_hidden(changed);
    let weight = select(decay(changed - sum), 0.0, hidden);
    var factor = 1.0;
    if DROPS {
        factor = weight_factor(at);
    }
    var slope = select(weight * (upstream * factor - mean), 0.0, hidden);
    if known != UNCHANGED {
        slope = score_gradient(score, at, slope);
    }
    return Weighed(weight * factor, slope * params.scale);
}

// The elements that a product of a row and a column sums over.
fn product_size(product: u32) -> u32 {
    return select(HEAD_SIZE, VALUE_SIZE, product == 1u);
}

// The elements of a row of a sum.
fn depth_of(sum: u32) -> u32 {
    return select(FIRST_DEPTH, SECOND_DEPTH, sum == 1u);
}

fn element_at(tensor: u32, address: i32) -> f32 {
    let index = u32(address);
    return element_of(tensor, word_at(tensor, word_index(tensor, index)), index);
}

// Two neighbours of a row; 0 for the second where there is none.
fn pair_at(tensor: u32, address: i32, has_second: bool) -> vec2<f32> {
    if PAIRS {
        return pair_of(word_at(tensor, word_index(tensor, u32(address))));
    }
    let second = select(address, address + element_step(tensor), has_second);
    return vec2<f32>(element_at(tensor, address), select(0.0, element_at(tensor, second), has_second));
}

// Rows of a head, and of its columns.
fn row_count() -> u32 {
    return select(params.queries, params.keys, OF_KEYS);
}

fn column_count() -> u32 {
    return select(params.keys, params.queries, OF_KEYS);
}

// Heads that have rows of their own, and those whose columns a row sees.
fn row_heads() -> u32 {
    return select(params.heads, params.heads / params.group, OF_KEYS);
}

fn column_heads() -> u32 {
    return select(1u, params.group, OF_KEYS);
}

// The head of a workgroup's rows, with one of those whose columns they see.
fn head_of(batch: u32, row_head: u32, member: u32) -> Head {
    if OF_KEYS {
        return Head(batch, row_head * params.group + member, row_head);
    }
    return Head(batch, row_head, row_head / params.group);
}

// The index of the pair of a row and a column, those beyond the last taken for the last.
fn pair_index(head: Head, row: u32, column: u32) -> vec4<i32> {
    let own = min(row, row_count() - 1u);
    let other = min(column, column_count() - 1u);
    let pair = select(vec2<u32>(own, other), vec2<u32>(other, own), OF_KEYS);
    return vec4<i32>(i32(head.batch), i32(head.query_head), i32(pair.x), i32(pair.y));
}

// What is known of a block of this many rows and columns.
fn known_of(head: Head, first_row: u32, rows: u32, first_column: u32, columns: u32) -> u32 {
    let of_rows = vec2<i32>(i32(first_row), i32(min(first_row + rows, row_count()) - 1u));
    let of_columns = vec2<i32>(i32(first_column), i32(min(first_column + columns, params.end_column) - 1u));
    return known_of_block(
        i32(head.batch),
        i32(head.query_head),
        select(of_rows, of_columns, OF_KEYS),
        select(of_columns, of_rows, OF_KEYS),
    );
}
