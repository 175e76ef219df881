// Slot constants/extreme, used by family/extremes.
// Which extreme.
const SMALLEST = false;
