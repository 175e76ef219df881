// Slot state_weight, used by recurrence_weights, state_product.
// The weight as it is: for what puts it into the other order, and for sequences that are too short for that to be worth it.
@group(0) @binding(WEIGHT) var<storage, read> weights: array<f32>;

fn weight_word(block: u32, index: u32, columns: u32, column: u32) -> f32 {
    let value = weights[(block * params.hidden + min(index, params.hidden - 1u)) * columns + column];
    // Beyond the last row, the states are 0, and 0 times an infinite weight would be none.
    return select(0.0, value, index < params.hidden);
}

fn weight_quad(block: u32, quads: u32, quad: u32, columns: u32, column: u32) -> vec4<f32> {
    return vec4(
        weight_word(block, 4u * quad, columns, column),
        weight_word(block, 4u * quad + 1u, columns, column),
        weight_word(block, 4u * quad + 2u, columns, column),
        weight_word(block, 4u * quad + 3u, columns, column),
    );
}
