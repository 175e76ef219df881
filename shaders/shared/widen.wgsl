// Used by family/recurrence, lhs, step_store, words.
// Floats of 16 bits as f32, exactly, without any optional feature. A driver's own conversion is one instruction where that of
// `shared/half` is a dozen, which counts in a product's inner loop.

// The float in the low half of a word.
fn widen(word: u32, is_bf16: bool) -> f32 {
    if is_bf16 {
        return bitcast<f32>(word << 16u);
    }
    return unpack2x16float(word).x;
}

fn widen_quad(words: vec2<u32>, is_bf16: bool) -> vec4<f32> {
    if is_bf16 {
        let low = words << vec2<u32>(16u);
        let high = words & vec2<u32>(0xffff0000u);
        return bitcast<vec4<f32>>(vec4<u32>(low.x, high.x, low.y, high.y));
    }
    return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}
