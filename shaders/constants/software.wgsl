// Slot constants/software, used by convolution_software, matmul_software.
// Elements of the product that an invocation computes, and invocations of a subgroup.
const ROWS = 4u;
const COLUMNS = 4u;
const LANES = 8u;
