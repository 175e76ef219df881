// Slot blocks, used by matmul_cooperative.
// How an invocation loads its blocks of both tiles: operands with any strides, an element at a time.
#import lhs/elements_f16
#import rhs/elements_f16
#import family/product
#import store/matrix
#import family/lhs_block_elements
#mirror family/lhs_block_elements
#import family/block_cursor
