// The element types that a routine computes in: of what it is given, and of what it hands to its last step.
alias Value = f32;
alias Element = f32;
