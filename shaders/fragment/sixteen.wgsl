// Slot fragment, used by matmul_cooperative.
// What a matrix instruction multiplies: matrices of 16 rows and 16 columns.
enable f16;
enable wgpu_cooperative_matrix;
const FRAGMENT = 16u;
alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sum = coop_mat16x16<f32, C>;
