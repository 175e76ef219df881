//! Products and convolutions of any size, from their names.

use super::{Case, convolutions, products};
use crate::tensor::DType;

/// The product or convolution of a name in the notation of [`cases`](super::cases), of any size: `matmul/f32/300x700x64` is rows × inner ×
/// columns; `conv2d/f32/n8c64h56w56k64r3` is images, channels, height, width, kernels and their extent, with groups (`g64`) and a pass
/// (`/forward`, `/input_gradient`, `/weight_gradient`) where wanted. Types are f32 and f16, of products bf16 too. `None` for other names.
///
/// ```
/// use wgrad::bench::case_of_shape;
///
/// assert_eq!(case_of_shape("matmul/f16/4096x4096x4096").unwrap().name(), "matmul/f16/4096x4096x4096");
/// assert_eq!(case_of_shape("conv2d/f32/n1c3h9w9k4r3").unwrap().name(), "conv2d/f32/n1c3h9w9k4r3/forward");
/// assert!(case_of_shape("matmul/f32/3x4").is_none());
/// ```
pub fn case_of_shape(name: &str) -> Option<Case> {
    let mut parts = name.split('/');
    let (kind, dtype, extents, pass) = (parts.next()?, parts.next()?, parts.next()?, parts.next());
    if parts.next().is_some() {
        return None;
    }
    match (kind, dtype, pass) {
        ("matmul", "f32", None) => product(DType::F32, extents),
        ("matmul", "f16", None) => product(DType::F16, extents),
        ("matmul", "bf16", None) => product(DType::BF16, extents),
        ("conv2d", "f32", pass) => convolution(DType::F32, extents, pass),
        ("conv2d", "f16", pass) => convolution(DType::F16, extents, pass),
        _ => None,
    }
}

fn product(dtype: DType, extents: &str) -> Option<Case> {
    let extents: Option<Vec<usize>> = extents.split('x').map(extent).collect();
    let &[rows, inner, columns] = extents?.as_slice() else { return None };
    let shapes = [[rows, inner], [inner, columns], [rows, columns]];
    shapes.iter().all(|shape| is_countable(shape)).then(|| products::product(dtype, [rows, inner, columns]))
}

fn convolution(dtype: DType, extents: &str, pass: Option<&str>) -> Option<Case> {
    let (input, kernel, groups) = match lettered(extents)?[..] {
        [('n', n), ('c', c), ('h', h), ('w', w), ('k', k), ('r', r)] => ([n, c, h, w], [k, r], 1),
        [('n', n), ('c', c), ('h', h), ('w', w), ('k', k), ('r', r), ('g', g)] => ([n, c, h, w], [k, r], g),
        _ => return None,
    };
    let ([images, channels, height, width], [kernels, extent]) = (input, kernel);
    let shapes =
        [[images, channels, height, width], [kernels, channels, extent, extent], [images, kernels, height, width]];
    if !shapes.iter().all(|shape| is_countable(shape)) {
        return None;
    }
    let has_windows = height.min(width) + 2 * (extent / 2) >= extent;
    if !has_windows || channels % groups != 0 || kernels % groups != 0 {
        return None;
    }
    let index = match pass {
        None | Some("forward") => 0,
        Some("input_gradient") => 1,
        Some("weight_gradient") => 2,
        Some(_) => return None,
    };
    convolutions::passes(dtype, (input, kernel, groups)).into_iter().nth(index)
}

/// Letters with the extents behind them.
fn lettered(text: &str) -> Option<Vec<(char, usize)>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let after = &rest[letter.len_utf8()..];
        let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        found.push((letter, extent(&after[..end])?));
        rest = &after[end..];
    }
    Some(found)
}

fn extent(text: &str) -> Option<usize> {
    text.parse().ok().filter(|extent| *extent > 0)
}

/// A shape whose elements can be counted.
fn is_countable(extents: &[usize]) -> bool {
    let elements = extents.iter().try_fold(8_usize, |product, extent| product.checked_mul(*extent));
    elements.is_some_and(|bytes| isize::try_from(bytes).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::cases;
    use crate::compiler::{Layout, Options, Target, compile};
    use crate::shader::WorkKey;

    #[test]
    fn cases_are_read_from_their_names() {
        let keys = |case: &Case| -> Vec<Option<WorkKey>> {
            let (program, _) =
                compile(&case.graph(), &Target::Cpu, &mut Layout::default(), Options::default()).unwrap();
            program.steps.iter().map(|step| step.work.key()).collect()
        };
        let mut read = 0;
        for case in cases() {
            let Some(found) = case_of_shape(case.name()) else { continue };
            assert_eq!((found.name(), keys(&found)), (case.name(), keys(&case)));
            read += 1;
        }
        assert!(read >= 30, "{read} cases");
    }

    #[test]
    fn what_is_no_shape_is_none() {
        for text in [
            "",
            "matmul",
            "matmul/f32/3x4",
            "matmul/f32/3x4x0",
            "matmul/f32/3x4xq",
            "matmul/f32/3x4x-1",
            "matmul/f64/3x4x5",
            "matmul/f32/3x4x5/tn/nt",
            "matmul/f32/3x4x99999999999999999999",
            "matmul/f32/4294967296x4294967296x4294967296",
            "conv2d/f32/n1c2",
            "conv2d/f32/n1c2h3w4k5r",
            "conv2d/f32/n1c2h3w4k5r1/sideways",
            "conv2d/f32/n1c2h3w4k5r1g4",
            "conv2d/f32/n1c2h3w4k5r1z9",
            "conv2d/f32/n1c2h3w4k5r1é9",
            "conv2d/f32/c2n1h3w4k5r1",
            "step/none",
        ] {
            assert!(case_of_shape(text).is_none(), "{text}");
        }
        // Even kernels have a result more.
        assert!(case_of_shape("conv2d/f32/n1c1h1w1k1r2").is_some());
    }
}
