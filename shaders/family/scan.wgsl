// Used by scan, scan_blocks.
// What scans share: lines of a row-major tensor `outer × length × inner`, each in chunks.
#import element/f32
#import carry/nothing

struct Params {
    grid_width: u32,
    lines: u32,
    length: u32,
    inner: u32,
    chunks: u32,
    // Length of each chunk but the last.
    chunk_length: u32,
    // From the end.
    reverse: u32,
    // Without the element itself.
    exclusive: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<Element>;
@group(0) @binding(2) var<storage, read_write> result: array<Element>;
