// Slot constants/cell, used by cell, family/recurrence.
// What a cell has: this default has one gate and one state.
const GATES = 1u;
const STATES = 1u;
// Values of the unit's own.
const PARAMETERS = 0u;
// Values saved for the backward pass; the last are the states before the step, the hidden one at the end.
const SAVED = 1u;
// Gradients returned: of the gates' sums, of their products where those differ, of the parameters.
const GRADIENTS = 1u;
// The first of the gradients that the weight is multiplied by.
const OF_PRODUCTS = 0u;
// Whether the step reads the hidden state apart from its product.
const READS_HIDDEN = false;
// Whether a step has two halves, since the products of gates from SECOND on are with another state than the hidden one: the saved
// value INNER. Of those that the first half saves, there are FIRST.
const TWO_HALVES = false;
const SECOND = 1u;
const INNER = 0u;
const FIRST = 0u;
// Lengths of arrays, which have one element at least.
const PARAMETER_SLOTS = 1u;
const FIRST_SLOTS = 1u;
