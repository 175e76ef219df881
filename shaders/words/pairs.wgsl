// Slot words, used by attention_pass.
// How tensors are read whose rows begin at even addresses: two neighbours at once, as an integer of 64 bits, which to a software driver
// is one load.
alias Word = u64;
const PAIRS = true;

fn pair_of(word: Word) -> vec2<f32> {
    return vec2<f32>(bitcast<f32>(u32(word)), bitcast<f32>(u32(word >> 32u)));
}

fn word_index(tensor: u32, address: u32) -> u32 {
    return address >> 1u;
}

fn element_of(tensor: u32, word: Word, address: u32) -> f32 {
    let pair = pair_of(word);
    return select(pair.x, pair.y, (address & 1u) == 1u);
}
