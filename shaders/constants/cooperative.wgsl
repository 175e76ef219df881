// Slot constants/cooperative, used by matmul_cooperative.
// Lanes of a subgroup, and how many fragments it sums, down and across.
const LANES = 32u;
const FRAGMENT_ROWS = 2u;
const FRAGMENT_COLUMNS = 2u;
