// Slot blocks, used by matmul_cooperative.
// How an invocation loads its blocks of both tiles where both operands can be read four neighbours at a time.
#import lhs/quads_f16
#import rhs/quads_f16
#import store/matrix
#import family/lhs_block_quads
#mirror family/lhs_block_quads
#import family/block_cursor
