// What a recurrence has: this default goes forward from zeros over all steps.
const REVERSE = false;
const HAS_BIAS = false;
const HAS_INITIAL = false;
const HAS_LENGTHS = false;
// On the way back: gradients of the outputs and of the last state.
const HAS_OUTPUTS = true;
const HAS_LAST = false;
