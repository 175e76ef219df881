// Slot fragment, used by matmul_cooperative.
// What a matrix instruction multiplies: matrices of 8 rows and 8 columns.
enable f16;
enable wgpu_cooperative_matrix;
const FRAGMENT = 8u;
alias Left = coop_mat8x8<f16, A>;
alias Right = coop_mat8x8<f16, B>;
alias Sum = coop_mat8x8<f32, C>;
