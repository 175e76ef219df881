// Slot constants/pool, used by family/windows.
// What the kernels of a pool are made for: its axes, as depth, height and width, and the last two extents of the result. They are
// constants because positions are found by divisions, which are cheap by a constant alone. This default has windows of 2 × 2
// elements, side by side.
const Z = Axis(1, 1, 1, 1, 1, 0, 0, 1, 1);
const Y = Axis(32, 16, 2, 2, 1, 0, 0, 2, 1);
const X = Axis(32, 16, 2, 2, 1, 0, 0, 2, 1);
const RESULT_ROWS = 32u;
const RESULT_COLUMNS = 32u;
