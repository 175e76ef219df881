// Slot words, used by attention_pass.
// How tensors are read: an element at a time.
alias Word = f32;
const PAIRS = false;

fn word_index(tensor: u32, address: u32) -> u32 {
    return address;
}

fn element_of(tensor: u32, word: Word, address: u32) -> f32 {
    return word;
}

fn pair_of(word: Word) -> vec2<f32> {
    return vec2<f32>(word, 0.0);
}
