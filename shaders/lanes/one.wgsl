// Slot lanes, used by cell, expression, expressions, family/product_sum, finish, operand, row_work, shared/numbers, shared/random.
// How many elements an expression computes at once: one here. Map kernels compute four.
alias Lanes = f32;
alias IntLanes = i32;
alias UintLanes = u32;
alias BoolLanes = bool;
