// The element type that a routine computes in.
alias Element = f32;
