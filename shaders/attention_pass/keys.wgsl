// Slot attention_pass, used by attention, attention_software.
// The backward pass for keys and values: a row is a key, and the columns are the queries of all heads that share it. The gradient of its
// value is the sum of their results' gradients by its weights, and that of the key the sum of queries by the gradients of products.
#import family/attention
#import words/elements

@group(0) @binding(1) var<storage, read> q: array<Word>;
@group(0) @binding(2) var<storage, read> k: array<Word>;
@group(0) @binding(3) var<storage, read> v: array<Word>;
@group(0) @binding(4) var<storage, read> upstream: array<Word>;
@group(0) @binding(5) var<storage, read> sums: array<f32>;
@group(0) @binding(6) var<storage, read> means: array<f32>;
@group(0) @binding(FIRST_WRITTEN) var<storage, read_write> d_k: array<f32>;
@group(0) @binding(FIRST_WRITTEN + 1u) var<storage, read_write> d_v: array<f32>;

const FORWARD = false;
const OF_KEYS = true;
const FIRST_DEPTH = VALUE_SIZE;
const SECOND_DEPTH = HEAD_SIZE;

fn row_tensor(product: u32) -> u32 {
    return select(K, V, product == 1u);
}

fn column_tensor(product: u32) -> u32 {
    return select(Q, UPSTREAM, product == 1u);
}

fn summed_tensor(sum: u32) -> u32 {
    return select(UPSTREAM, Q, sum == 1u);
}

fn written_tensor(sum: u32) -> u32 {
    return select(D_V, D_K, sum == 1u);
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
    return upstream[index];
}

fn written(tensor: u32, address: i32) -> f32 {
    if tensor == D_K {
        return d_k[u32(address)];
    }
    return d_v[u32(address)];
}

fn write(tensor: u32, address: i32, value: f32) {
    if tensor == D_K {
        d_k[u32(address)] = value;
    } else {
        d_v[u32(address)] = value;
    }
}

fn save(index: u32, value: f32) {}

fn saved(head: Head, query: u32) -> f32 {
    return sums[u32(row_start(SUMS, head, query))];
}

fn mean_of(index: u32) -> f32 {
    return means[index];
}
