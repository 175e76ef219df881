// Slot constants/attention_software, used by attention_software.
// Rows of a workgroup, vectors of columns that it works on at a time, and invocations of a subgroup.
const ROWS = 16u;
const COLUMNS = 4u;
const LANES = 8u;
