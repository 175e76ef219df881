// Slot constants/attention, used by family/attention, words.
// The sizes of heads of queries and keys, and of values; how many buffers the score has, whether weights are left out, and the first
// binding that is written.
const HEAD_SIZE = 64u;
const VALUE_SIZE = 64u;
const BUFFERS = 0u;
const DROPS = false;
const FIRST_WRITTEN = 4u;
// A bit for each tensor that is stored in a type of 16 bits, by its number in family/attention.
const F16_TENSORS = 0u;
const BF16_TENSORS = 0u;
