// Slot constants/convolution, used by family/convolution.
// What the kernels of a convolution are made for: this default is a forward convolution over two spatial axes.
const AXES = 2u;
// The gradient of the input: elements come in phases. The gradient of the weight: rows and columns are the weight's.
const TOWARD_INPUT = false;
const TOWARD_WEIGHT = false;
// False where no window reaches beyond the source.
const CHECKED = true;
// True where the kernel has one tap, which meets every element, so that the convolution is a product of matrices.
const POINT = false;
