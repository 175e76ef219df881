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
