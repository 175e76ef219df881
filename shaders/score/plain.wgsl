// Slot score, used by family/attention.
// What attention does with a score before the softmax. Others are generated from their definitions (src/ops/attention/score.rs); this
// default leaves scores as they are. `at` is the index of batch, head, query and key.
fn new_score(score: f32, at: vec4<i32>) -> f32 {
    return score;
}

// The gradient of the score, from that of the new one.
fn score_gradient(score: f32, at: vec4<i32>, upstream: f32) -> f32 {
    return upstream;
}

// What a weight is multiplied by after the softmax, where some are left out.
fn weight_factor(at: vec4<i32>) -> f32 {
    return 1.0;
}

// What is known of all pairs of a block, of queries and keys from a first to a last one.
fn known_of_block(batch: i32, head: i32, queries: vec2<i32>, keys: vec2<i32>) -> u32 {
    return UNCHANGED;
}
