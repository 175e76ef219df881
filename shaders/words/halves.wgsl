// Slot words, used by attention_pass.
// How tensors of 16-bit floats are read whose rows begin at even addresses: two neighbours are a word.
#import constants/attention
#import shared/widen

alias Word = u32;
const PAIRS = true;

fn word_index(tensor: u32, address: u32) -> u32 {
    return address >> 1u;
}

fn pair_of(word: Word) -> vec2<f32> {
    let is_bf16 = BF16_TENSORS != 0u;
    return vec2<f32>(widen(word, is_bf16), widen(word >> 16u, is_bf16));
}

fn element_of(tensor: u32, word: Word, address: u32) -> f32 {
    return widen(word >> ((address & 1u) * 16u), BF16_TENSORS != 0u);
}
