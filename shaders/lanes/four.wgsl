// Slot lanes, used by cell, expression, expressions, family/product_sum, finish, operand, row_work, shared/numbers, shared/random.
// Four elements at once.
alias Lanes = vec4<f32>;
alias IntLanes = vec4<i32>;
alias UintLanes = vec4<u32>;
alias BoolLanes = vec4<bool>;
