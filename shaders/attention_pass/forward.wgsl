// Slot attention_pass, used by attention, attention_software.
// The forward pass: a row is a query. Its result is the sum of the columns' values by their weights, and the logarithm of their sum.
#import family/attention
#import words/elements

@group(0) @binding(1) var<storage, read> q: array<Word>;
@group(0) @binding(2) var<storage, read> k: array<Word>;
@group(0) @binding(3) var<storage, read> v: array<Word>;
@group(0) @binding(FIRST_WRITTEN) var<storage, read_write> result: array<f32>;
@group(0) @binding(FIRST_WRITTEN + 1u) var<storage, read_write> sums: array<f32>;

const FORWARD = true;
const OF_KEYS = false;
// The elements of a row of each sum.
const FIRST_DEPTH = VALUE_SIZE;
const SECOND_DEPTH = 0u;

// Which tensors are multiplied for a product of a row and a column, added up by the columns' weights, and written.
fn row_tensor(product: u32) -> u32 {
    return Q;
}

fn column_tensor(product: u32) -> u32 {
    return K;
}

fn summed_tensor(sum: u32) -> u32 {
    return V;
}

fn written_tensor(sum: u32) -> u32 {
    return RESULT;
}

fn word_at(tensor: u32, index: u32) -> Word {
    if tensor == Q {
        return q[index];
    }
    if tensor == K {
        return k[index];
    }
    return v[index];
}

fn written(tensor: u32, address: i32) -> f32 {
    return result[u32(address)];
}

fn write(tensor: u32, address: i32, value: f32) {
    result[u32(address)] = value;
}

// What is saved for each query, and what was.
fn save(index: u32, value: f32) {
    sums[index] = value;
}

fn saved(head: Head, query: u32) -> f32 {
    return sums[query_index(head, query)];
}

fn mean_of(index: u32) -> f32 {
    return 0.0;
}
