// Slot step_store, used by family/recurrence_steps.
// Sequences in floats of 16 bits. An invocation has two neighbouring units at a time, and so whole words: units are even in number.
#import constants/sequence
#import shared/half
#import shared/widen

alias StepWord = u32;

const IN_PAIRS = true;

fn step_index(address: u32) -> u32 {
    return address >> 1u;
}

fn step_value(word: StepWord, address: u32) -> f32 {
    return widen(word >> ((address & 1u) * 16u), STORES_BF16);
}

fn narrow(value: f32) -> u32 {
    if STORES_BF16 {
        return f32_to_bf16(value);
    }
    return f32_to_f16(value);
}

fn step_word(first: f32, second: f32) -> StepWord {
    return narrow(first) | (narrow(second) << 16u);
}
