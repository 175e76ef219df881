// Slot step_store, used by family/recurrence_steps.
// How the sequences that a pass writes are in memory: this default stores an f32 for each unit.
alias StepWord = f32;

// Whether an invocation has two neighbouring units at a time, whose floats of 16 bits are a word.
const IN_PAIRS = false;

// The word of an element, and the element of a word.
fn step_index(address: u32) -> u32 {
    return address;
}

fn step_value(word: StepWord, address: u32) -> f32 {
    return word;
}

// The word of two neighbours; of single units, that of the second.
fn step_word(first: f32, second: f32) -> StepWord {
    return second;
}
