// Slot rhs, used by blocks, family/convolution_source, family/product, load, recurrence_backward.
// The right operand, read an element at a time: f16 for matrix instructions.
#mirror lhs/elements_f16

alias Factor = f16;
