// Slot constants/stored, used by lhs.
// Operands that are stored in 16 bits.
const LHS_F16 = false;
const LHS_BF16 = false;
const RHS_F16 = false;
const RHS_BF16 = false;
