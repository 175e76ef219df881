// Slot constants/split, used by reduce_split.
// The binding of partial results.
const PARTIALS = 2u;
