// What scans share: lines of a row-major tensor `outer × length × inner`, each in stretches.
#import shared/element
#import shared/carry

struct Params {
    grid_width: u32,
    lines: u32,
    length: u32,
    inner: u32,
    stretches: u32,
    // Length of each stretch but the last.
    stretch: u32,
    // From the end.
    reverse: u32,
    // Without the element itself.
    exclusive: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<Element>;
@group(0) @binding(2) var<storage, read_write> result: array<Element>;
