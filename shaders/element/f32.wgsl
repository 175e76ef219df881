// Slot element, used by carry, expressions, family/extremes, family/scan, family/scatter, family/sort, finish, fold, nan, operand, pool_max, scan_carries, scatter_update, scatter_update_sorted, search_sorted, sort_key.
// The element types that a routine computes in: of its inputs, and of what it passes to its last step.
alias Value = f32;
alias Element = f32;
