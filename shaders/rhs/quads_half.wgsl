// Slot rhs, used by blocks, family/convolution_source, family/product, load, recurrence_backward.
// The right operand, of which four neighbours are read at once: floats of 16 bits.
#mirror lhs/quads_half
