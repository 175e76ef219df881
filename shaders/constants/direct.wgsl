// Slot constants/direct, used by convolution_direct, matmul_direct.
// Elements of the product that an invocation computes.
const ROWS = 4u;
const COLUMNS = 4u;
