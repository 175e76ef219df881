// Slot carry, used by family/scan.
// The sum of what comes before a chunk of a line, from the passes before.
#import element/f32
@group(0) @binding(3) var<storage, read> carries: array<Element>;
fn carry(number: u32) -> Element {
    return carries[number];
}
