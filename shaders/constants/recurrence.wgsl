// Slot constants/recurrence, used by family/recurrence.
// How the work is cut: rows of the batch that a workgroup has, invocations of a group, groups that share a workgroup's units, units that
// an invocation has at a time, inner indices of an iteration, and elements of an iteration of the loop after the products.
const ROWS = 4u;
const LANES = 8u;
const WAVES = 1u;
const UNITS = 1u;
const UNROLL = 4u;
const ITEMS = 1u;
