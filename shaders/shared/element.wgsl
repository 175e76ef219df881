// The element types that a routine computes in: of its inputs, and of what it passes to its last step.
alias Value = f32;
alias Element = f32;
