// Slot constants/tiles, used by family/tile_steps.
// Tiles in workgroup memory, and whether an operand's neighbours in memory lie along the inner dimension.
const TILE_ROWS = 64u;
const TILE_COLUMNS = 64u;
const TILE_INNER = 8u;
const LHS_ALONG_INNER = true;
const RHS_ALONG_INNER = false;
