// Slot constants/sort, used by family/network.
// Elements in workgroup memory, and invocations.
const SIZE = 1024u;
const THREADS = 256u;
