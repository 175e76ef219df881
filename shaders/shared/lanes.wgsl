// How many elements an expression computes at once: these aliases are scalars here, vectors of four in map kernels.
alias Lanes = f32;
alias IntLanes = i32;
alias UintLanes = u32;
alias BoolLanes = bool;
