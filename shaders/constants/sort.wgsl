// Slot constants/sort, used by family/network, sort_join.
// Elements in workgroup memory, and invocations.
const SIZE = 1024u;
const THREADS = 256u;
