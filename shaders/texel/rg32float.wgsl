// Slot texel, used by picture_write.
// The texture that takes an output, by its format.
@group(0) @binding(2) var picture: texture_storage_2d<rg32float, write>;
