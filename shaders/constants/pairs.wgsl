// Slot constants/pairs, used by matmul_software.
// Whether two neighbours of the right operand are read at once, and whether they are two columns.
const RHS_PAIRS = false;
const ALONG_COLUMNS = false;
