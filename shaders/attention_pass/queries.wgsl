// Slot attention_pass, used by attention, attention_software.
// The backward pass for queries: a row is a query, whose gradient is the sum of the keys by the gradients of their products. It leaves
// the mean of each query's gradients for the pass for keys.
#import family/attention
#import words/elements

@group(0) @binding(1) var<storage, read> q: array<Word>;
@group(0) @binding(2) var<storage, read> k: array<Word>;
@group(0) @binding(3) var<storage, read> v: array<Word>;
@group(0) @binding(4) var<storage, read> upstream: array<Word>;
@group(0) @binding(5) var<storage, read> result: array<Word>;
@group(0) @binding(6) var<storage, read> sums: array<f32>;
@group(0) @binding(FIRST_WRITTEN) var<storage, read_write> d_q: array<f32>;
@group(0) @binding(FIRST_WRITTEN + 1u) var<storage, read_write> means: array<f32>;

const FORWARD = false;
const OF_KEYS = false;
const FIRST_DEPTH = HEAD_SIZE;
const SECOND_DEPTH = 0u;

fn row_tensor(product: u32) -> u32 {
    return select(Q, UPSTREAM, product == 1u);
}

fn column_tensor(product: u32) -> u32 {
    return select(K, V, product == 1u);
}

fn summed_tensor(sum: u32) -> u32 {
    return K;
}

fn written_tensor(sum: u32) -> u32 {
    return D_Q;
}

fn word_at(tensor: u32, index: u32) -> Word {
    if tensor == Q {
        return q[index];
    }
    if tensor == K {
        return k[index];
    }
    if tensor == V {
        return v[index];
    }
    if tensor == RESULT {
        return result[index];
    }
    return upstream[index];
}

fn written(tensor: u32, address: i32) -> f32 {
    return d_q[u32(address)];
}

fn write(tensor: u32, address: i32, value: f32) {
    d_q[u32(address)] = value;
}

fn save(index: u32, value: f32) {
    means[index] = value;
}

fn saved(head: Head, query: u32) -> f32 {
    return sums[u32(row_start(SUMS, head, query))];
}

fn mean_of(index: u32) -> f32 {
    return means[index];
}
