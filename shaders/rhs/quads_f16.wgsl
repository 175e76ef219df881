// Slot rhs, used by blocks, family/convolution_source, family/product, load, recurrence_backward.
// The right operand, of which four neighbours are read at once: f16 for matrix instructions.
#mirror lhs/quads_f16
