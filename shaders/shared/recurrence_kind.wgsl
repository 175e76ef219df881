// What a recurrence has: this default runs from the first step to the last, starting from zeros.
const REVERSE = false;
const HAS_BIAS = false;
const HAS_INITIAL = false;
const HAS_LENGTHS = false;
// Whether the last vector of units is not full.
const IS_RAGGED = true;
// In the backward pass: gradients of the outputs and of the last state.
const HAS_OUTPUTS = true;
const HAS_LAST = false;
