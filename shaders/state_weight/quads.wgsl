// Slot state_weight, used by recurrence_weights, state_product.
// The weight in an order of its own, which recurrence_weights makes: blocks of four rows, whose elements in a column are neighbours.
@group(0) @binding(WEIGHT) var<storage, read> weights: array<vec4<f32>>;

fn weight_quad(block: u32, quads: u32, quad: u32, columns: u32, column: u32) -> vec4<f32> {
    return weights[(block * quads + quad) * columns + column];
}
