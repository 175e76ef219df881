// What a recurrence has: this default goes forward from zeros over all steps.
const REVERSE = false;
const HAS_BIAS = false;
const HAS_INITIAL = false;
const HAS_LENGTHS = false;
// Whether the last vector of units is not full.
const IS_RAGGED = true;
// On the way back: gradients of the outputs and of the last state.
const HAS_OUTPUTS = true;
const HAS_LAST = false;
