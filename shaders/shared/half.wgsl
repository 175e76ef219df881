// Used by expressions, step_store.
// 16-bit floats in the low half of a word, without any optional feature: plain integer arithmetic, so that every
// driver rounds alike (to nearest, ties to even) and keeps infinities. Twins of the `half` crate's conversions.

fn f16_to_f32(bits: u32) -> f32 {
    let sign = (bits & 0x8000u) << 16u;
    let exponent = (bits >> 10u) & 31u;
    let mantissa = bits & 0x3ffu;
    let normal = ((exponent + 112u) << 23u) | (mantissa << 13u);
    let special = 0x7f800000u | (mantissa << 13u);
    let magnitude = select(normal, special, exponent == 31u);
    // Subnormals: mantissa · 2^−24, exact in f32.
    let small = bitcast<u32>(f32(mantissa) * 5.9604645e-8);
    return bitcast<f32>(sign | select(magnitude, small, exponent == 0u));
}

fn f32_to_f16(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    let sign = (bits >> 16u) & 0x8000u;
    let magnitude = bits & 0x7fffffffu;
    // Normal results: rebias, add half a unit of the last place less one, plus the last remaining bit.
    let rebiased = magnitude - 0x38000000u;
    let normal = (rebiased + 0xfffu + ((rebiased >> 13u) & 1u)) >> 13u;
    // Subnormal results: integer multiples of 2^−24, rounded to even.
    let small = u32(round(bitcast<f32>(min(magnitude, 0x38800000u)) * 16777216.0));
    var result = select(normal, small, magnitude < 0x38800000u);
    result = select(result, 0x7c00u, magnitude >= 0x477ff000u);
    result = select(result, 0x7e00u, magnitude > 0x7f800000u);
    return sign | result;
}

fn bf16_to_f32(bits: u32) -> f32 {
    return bitcast<f32>(bits << 16u);
}

fn f32_to_bf16(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    let rounded = (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
    return select(rounded, (bits >> 16u) | 0x40u, (bits & 0x7fffffffu) > 0x7f800000u);
}
