// Slot staging, used by load.
// What matrix products load into their tiles: operands with any strides. Each invocation loads two groups of each operand.
#import family/tiles
#import family/product
#import store/matrix
#import family/lhs_items
#mirror family/lhs_items
