// Slot constants/sequence, used by family/recurrence, step_store.
// What a recurrence has: this default runs from the first step to the last, starting from zeros.
const REVERSE = false;
const HAS_BIAS = false;
// Where the cell's parameters begin, in vectors of a value for each unit: behind the bias, where there is one.
const FIRST_PARAMETER = 0u;
const HAS_INITIAL = false;
const HAS_LENGTHS = false;
// Whether the last vector of units is not full.
const IS_RAGGED = true;
// In the backward pass: gradients of the outputs and of the last state.
const HAS_OUTPUTS = true;
const HAS_LAST = false;
// Types of 16 bits: of the sequence that a pass reads beside what was saved, which are gates or the gradients of outputs; and of those
// that it writes.
const READS_F16 = false;
const READS_BF16 = false;
const STORES_BF16 = false;
