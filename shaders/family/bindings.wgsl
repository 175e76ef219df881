// Used by lhs, rhs.
// Where the operands of a product are bound.
const LHS_BINDING = 1u;
const RHS_BINDING = 2u;
