// Sizes that a variant of a kernel is built with; these defaults make each file complete. Only `const` can size arrays.

// Products: axes of the batch, elements that an invocation computes, invocations of a subgroup, operands exchanged.
const BATCH_AXES = 1u;
const ROWS = 4u;
const COLUMNS = 4u;
const LANES = 8u;
const SWAPPED = false;
// Whether an invocation's elements are whole groups of four neighbours, stored at once; operands that are stored in 16 bits.
const QUADS = false;
const LHS_F16 = false;
const LHS_BF16 = false;
const RHS_F16 = false;
const RHS_BF16 = false;
// Whether two neighbours of the right operand are read at once, in kernels for software drivers.
const RHS_PAIRS = false;
// Recurrences: units that an invocation has at a time, groups of LANES invocations that share a workgroup's units, inner
// indices of an iteration, and elements of an iteration of the loop after the products.
const UNITS = 1u;
const WAVES = 1u;
const UNROLL = 4u;
const ITEMS = 1u;
// Tiles in workgroup memory, and whether an operand's neighbours in memory lie along the inner dimension.
const TILE_ROWS = 64u;
const TILE_COLUMNS = 64u;
const TILE_INNER = 8u;
const LHS_ALONG_INNER = true;
const RHS_ALONG_INNER = false;

// Reductions: results of a workgroup, each folded by LANES invocations; which of the two are neighbours; the binding
// of partial results; which extreme.
const LINES = 8u;
const ALONG_LANES = true;
const PARTIALS = 2u;
const SMALLEST = false;

// Sorts: elements in workgroup memory, and invocations.
const SIZE = 1024u;
const THREADS = 256u;
