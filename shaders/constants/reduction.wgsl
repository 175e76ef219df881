// Slot constants/reduction, used by family/tree.
// Results of a workgroup, each folded by LANES invocations; which of the two are neighbours.
const LINES = 8u;
const LANES = 8u;
const ALONG_LANES = true;
