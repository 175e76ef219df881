//! Resampling on a device against the CPU's, and the CPU's against dense matrices.

use super::{AxisMap, Interpolate, Interpolation, Resample};
use crate::graph::{CpuRoutine, Operator};
use crate::ops::device_tests::compare;
use crate::shader::testing::{numbers, operand};
use crate::tensor::{DType, TensorType};

fn maps(interpolate: &Interpolate, elements: usize) -> [AxisMap; 2] {
    let map = interpolate.maps(&[elements, 1]).unwrap().swap_remove(0);
    let backward = map.transpose();
    [map, backward]
}

fn check(map: &AxisMap, outer: usize, inner: usize) {
    let (elements, results) = map.ends();
    let op = Resample { axis: 1, map: map.clone() };
    let table = map.table();
    let data = op.table(DType::F32).unwrap();
    let (x, entries) = (operand(DType::F32, &[outer, elements, inner]), operand(DType::I32, &[data.len()]));
    let out = TensorType::new(DType::F32, [outer, results, inner]);
    assert_eq!(op.infer(&[&x.ty, &entries.ty]).unwrap(), std::slice::from_ref(&out));
    let values = numbers(x.ty.len(), 3);
    let inputs: [(_, &[u8]); 2] = [(&x, bytemuck::cast_slice(&values)), (&entries, data.bytes())];
    compare(&format!("{map:?} {outer} {inner}"), &op, &inputs, std::slice::from_ref(&out), 1e-5);
    let mut found = vec![f32::NAN; out.len()];
    op.evaluate(&inputs, &mut [(&out, bytemuck::cast_slice_mut(&mut found))]).unwrap();
    for (index, found) in found.iter().enumerate() {
        let (line, row, column) = (index / inner / results, index / inner % results, index % inner);
        let want: f64 = (table.starts[row]..table.starts[row + 1])
            .map(|k| table.weights[k] * f64::from(values[(line * elements + table.indices[k]) * inner + column]))
            .sum();
        assert!((f64::from(*found) - want).abs() < 1e-5, "{map:?} element {index}: {found}, not {want}");
    }
}

#[test]
fn kernels_do_what_tables_say() {
    for (elements, size) in [(1, 1), (1, 5), (5, 1), (4, 9), (9, 4), (37, 64)] {
        for (mode, align) in [
            (Interpolation::Nearest, false),
            (Interpolation::Linear, false),
            (Interpolation::Linear, true),
            (Interpolation::Cubic, false),
        ] {
            for map in maps(&Interpolate::size([size, 1]).mode(mode).align_corners(align), elements) {
                check(&map, 3, 1);
                check(&map, 2, 35);
            }
        }
    }
    for map in maps(&Interpolate::scale_factor(1.7), 6) {
        check(&map, 1, 2);
    }
}

#[test]
fn invalid_options_are_refused() {
    let refused = |interpolate: Interpolate, extents: &[usize]| interpolate.maps(extents).unwrap_err();
    assert_eq!(refused(Interpolate::size(3).align_corners(true), &[4]), "align_corners is not for nearest");
    assert_eq!(refused(Interpolate::size(3).mode(Interpolation::Cubic), &[4]), "cubic is for two spatial axes, not 1");
    assert_eq!(
        refused(Interpolate::size([3, 4]), &[4]),
        "size is [3, 4], and must be one number or 1, one for each spatial axis"
    );
    assert_eq!(refused(Interpolate::size(0), &[4]), "cannot make 0 elements of 4");
    assert_eq!(refused(Interpolate::scale_factor(0.1), &[4]), "cannot make 0 elements of 4");
    for factor in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(refused(Interpolate::scale_factor(factor), &[4]).contains("must be a number above 0"));
    }
    assert!(refused(Interpolate::scale_factor(1e300), &[4]).starts_with("cannot make"));
    assert!(refused(Interpolate::scale_factors([1.0, 2.0, 3.0]), &[4, 4]).contains("one number or 2"));
}

#[test]
fn listed_weights_are_a_map_too() {
    let rows = vec![vec![(2, 0.5), (0, -1.5)], Vec::new(), vec![(1, 1.0)], vec![(1, 0.25), (2, 2.0), (0, 1.0)]];
    let map = AxisMap::from_rows(3, rows).unwrap();
    assert_eq!((map.ends(), map.transpose().ends()), ((3, 4), (4, 3)));
    check(&map, 2, 3);
    check(&map.transpose(), 3, 1);
    assert_eq!(map.transpose().transpose(), map);
    assert_eq!(AxisMap::from_rows(3, vec![vec![(3, 1.0)]]).unwrap_err(), "element 3 is not one of 3");
    assert_eq!(AxisMap::from_rows(3, vec![vec![(0, f64::NAN)]]).unwrap_err(), "a weight is not finite");
}
