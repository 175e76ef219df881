// Slot constants/product, used by family/product.
// Axes of the batch, and whether the operands are exchanged, so that what is a row to the kernel is a column of the product.
const BATCH_AXES = 1u;
const SWAPPED = false;
