// Slot words, used by attention_pass.
// How tensors are read of which some are floats of 16 bits: an element at a time, of a word that holds one or two.
#import constants/attention
#import shared/widen

alias Word = u32;
const PAIRS = false;

fn is_bf16(tensor: u32) -> bool {
    return ((BF16_TENSORS >> tensor) & 1u) == 1u;
}

fn is_half(tensor: u32) -> bool {
    return (((F16_TENSORS | BF16_TENSORS) >> tensor) & 1u) == 1u;
}

fn word_index(tensor: u32, address: u32) -> u32 {
    return select(address, address >> 1u, is_half(tensor));
}

fn element_of(tensor: u32, word: Word, address: u32) -> f32 {
    if is_half(tensor) {
        return widen(word >> ((address & 1u) * 16u), is_bf16(tensor));
    }
    return bitcast<f32>(word);
}

fn pair_of(word: Word) -> vec2<f32> {
    return vec2<f32>(0.0);
}
