//! Colours for numbers, in which equal steps look equal.

use plotters::style::RGBColor;

/// matplotlib's `inferno` (Smith and van der Walt, public domain), at nine points.
const INFERNO: [[u8; 3]; 9] = [
    [0, 0, 4],
    [33, 12, 74],
    [86, 16, 110],
    [137, 34, 106],
    [187, 55, 84],
    [227, 89, 50],
    [249, 140, 10],
    [249, 201, 50],
    [252, 255, 164],
];

/// ColorBrewer's `RdBu`, from blue for negative numbers over white to red.
const BLUE_TO_RED: [[u8; 3]; 9] = [
    [33, 102, 172],
    [67, 147, 195],
    [146, 197, 222],
    [209, 229, 240],
    [247, 247, 247],
    [253, 219, 199],
    [244, 165, 130],
    [214, 96, 77],
    [178, 24, 43],
];

/// Right and wrong.
pub const RIGHT: RGBColor = RGBColor(0x1f, 0x7d, 0x4d);
pub const WRONG: RGBColor = RGBColor(0xc2, 0x36, 0x2b);

/// A colour for 0 … 1, from dark to light.
pub fn heat(value: f32) -> [u8; 3] {
    between(&INFERNO, value)
}

/// A colour for −1 … 1.
pub fn signed(value: f32) -> [u8; 3] {
    between(&BLUE_TO_RED, value.mul_add(0.5, 0.5))
}

/// A mixture of two colours: `share` of the second.
pub fn mix(first: [u8; 3], second: [u8; 3], share: f32) -> [u8; 3] {
    std::array::from_fn(|channel| {
        let (first, second) = (f32::from(first[channel]), f32::from(second[channel]));
        (first + (second - first) * share.clamp(0.0, 1.0)).round() as u8
    })
}

fn between(colours: &[[u8; 3]; 9], value: f32) -> [u8; 3] {
    // What is no number is as good as the lowest.
    let along = value.clamp(0.0, 1.0).max(0.0) * 8.0;
    let before = (along as usize).min(7);
    mix(colours[before], colours[before + 1], along - before as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_reach_both_ends() {
        assert_eq!([heat(0.0), heat(1.0), heat(9.0)], [INFERNO[0], INFERNO[8], INFERNO[8]]);
        assert_eq!([signed(-1.0), signed(0.0), signed(1.0)], [BLUE_TO_RED[0], BLUE_TO_RED[4], BLUE_TO_RED[8]]);
        assert_eq!(heat(f32::NAN), INFERNO[0]);
        assert_eq!(mix([0, 0, 0], [200, 100, 50], 0.5), [100, 50, 25]);
    }
}
