//! Lists of numbers that are no shapes: as many and as large as they like.

use wgrad::onnx::proto::{ModelProto, NodeProto, data_type};
use wgrad::onnx::{Import, Model};
use wgrad::prelude::*;

use super::{declared, floats, graph, int, ints, list, node, of_opset, text, with};

fn outputs(proto: ModelProto, x: &TensorData) -> Result<Vec<TensorData>> {
    let imported = Model::from_proto(proto, None)?.import(&Import::new())?;
    let mut outputs = imported.graph.compile(&Device::cpu())?.run(&[("x", x)])?;
    Ok(imported.outputs.iter().map(|(name, _)| outputs.take(name).unwrap()).collect())
}

fn counted(shape: &[usize]) -> TensorData {
    let count = shape.iter().product::<usize>();
    TensorData::from_vec((0..count).map(|value| value as f32).collect::<Vec<f32>>(), shape).unwrap()
}

fn one(version: i64, node: NodeProto, x: &[usize], lists: &[(&str, &[i64])]) -> Result<TensorData> {
    let dims: Vec<i64> = x.iter().map(|&extent| extent as i64).collect();
    let lists: Vec<_> = lists.iter().map(|(name, values)| ints(name, values)).collect();
    let proto = of_opset(version, graph([node], [declared("x", data_type::FLOAT, &dims)], &["y"], lists));
    Ok(outputs(proto, &counted(x))?.swap_remove(0))
}

/// The product of the sizes is beyond 2³¹, and so is their number beyond that of any shape's axes.
#[test]
fn parts_are_as_many_and_as_large_as_they_like() {
    let sizes = [765_i64, 298, 481, 505];
    for version in [11, 18] {
        let split = node("Split", if version < 13 { "x" } else { "x k" }, "a b c d");
        let split = with(split, int("axis", 0));
        let split = if version < 13 { with(split, list("split", &sizes)) } else { split };
        let x = declared("x", data_type::FLOAT, &[2049]);
        let proto = of_opset(version, graph([split], [x], &["a", "b", "c", "d"], [ints("k", &sizes)]));
        let parts = outputs(proto, &counted(&[2049])).unwrap();
        let firsts: Vec<f64> = parts.iter().map(|part| part.to_f64_vec()[0]).collect();
        assert_eq!(firsts, [0.0, 765.0, 1063.0, 1544.0], "opset {version}");
        assert_eq!(parts[3].shape().dims(), [505]);
    }
    let names: Vec<String> = (0..70).map(|part| format!("p{part}")).collect();
    let split = with(node("Split", "x k", &names.join(" ")), int("axis", 1));
    let references: Vec<&str> = names.iter().map(String::as_str).collect();
    let sizes: Vec<i64> = (0..70).map(|part| 1 + part % 2).collect();
    let x = declared("x", data_type::FLOAT, &[2, 105]);
    let proto = of_opset(18, graph([split.clone()], [x.clone()], &references, [ints("k", &sizes)]));
    let parts = outputs(proto, &counted(&[2, 105])).unwrap();
    assert_eq!(parts.len(), 70);
    assert_eq!(parts[69].to_f64_vec(), [103.0, 104.0, 208.0, 209.0]);
    // A sequence of parts, joined again.
    let nodes = [
        with(node("SplitToSequence", "x k", "parts"), int("axis", 1)),
        with(node("ConcatFromSequence", "parts", "y"), int("axis", 1)),
    ];
    let proto = of_opset(18, graph(nodes, [x.clone()], &["y"], [ints("k", &sizes)]));
    assert_eq!(outputs(proto, &counted(&[2, 105])).unwrap()[0], counted(&[2, 105]));
    // What does not add up is still refused.
    let sizes: Vec<i64> = (0..70).map(|part| part - 1).collect();
    let proto = of_opset(18, graph([split], [x], &references, [ints("k", &sizes)]));
    assert!(outputs(proto, &counted(&[2, 105])).unwrap_err().to_string().contains("should be from 0 to"));
}

#[test]
fn other_lists_are_no_shapes_either() {
    let whole = counted(&[2, 3]);
    // Seventy axes of no meaning, each a step of one.
    let tiled = one(18, node("Tile", "x k", "y"), &[2, 3], &[("k", &[1, 2])]).unwrap();
    assert_eq!(tiled.to_f64_vec(), [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 3.0, 4.0, 5.0]);
    // Beyond 32 axes, a tile's have an axis for the count and one for the extent.
    let many = [vec![1; 38], vec![2, 3]].concat();
    let counts = [vec![1; 39], vec![2]].concat();
    assert_eq!(one(18, node("Tile", "x k", "y"), &many, &[("k", &counts)]).unwrap().len(), 12);
    // Bounds that an image should not be larger than, of which one counts.
    let bounded = [("sizes", &[100_000_i64, 100_000, 100_000, 4][..]), ("none", &[])];
    let resize = with(node("Resize", "x _ _ sizes", "y"), text("keep_aspect_ratio_policy", "not_larger"));
    let resize = with(resize, text("mode", "nearest"));
    let found = one(19, resize, &[1, 1, 2, 2], &bounded).unwrap();
    assert_eq!(found.shape().dims(), [2, 2, 4, 4]);
    // A grid has no channels.
    let theta = floats("theta", &[1, 2, 3], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    let nodes = [node("AffineGrid", "theta size", "grid"), node("Add", "grid x", "y")];
    let x = declared("x", data_type::FLOAT, &[1]);
    let proto = of_opset(20, graph(nodes, [x], &["y"], [theta, ints("size", &[1, 1 << 30, 2, 2])]));
    assert_eq!(outputs(proto, &counted(&[1])).unwrap()[0].to_f64_vec(), [-0.5, -0.5, 0.5, -0.5, -0.5, 0.5, 0.5, 0.5]);
    // Long steps between blocks of which there is one.
    let block = with(node("Col2Im", "x image block", "y"), list("strides", &[1 << 20, 1 << 20]));
    let lists: [(&str, &[i64]); 2] = [("image", &[2, 3]), ("block", &[2, 3])];
    let found = one(18, block, &[1, 6, 1], &lists).unwrap();
    assert_eq!((found.shape().dims(), found.to_f64_vec()), (&[1, 1, 2, 3][..], whole.to_f64_vec()));
    // Slices, pads and permutations of many axes.
    let axes: Vec<i64> = (0..40).collect();
    let (starts, ends) = (vec![0_i64; 40], [vec![1_i64; 38], vec![2, 2]].concat());
    let lists: [(&str, &[i64]); 4] = [("s", &starts), ("e", &ends), ("a", &axes), ("t", &vec![1 << 40; 40])];
    let found = one(18, node("Slice", "x s e a t", "y"), &many, &lists).unwrap();
    assert_eq!(found.to_f64_vec(), [0.0]);
    let widths = [vec![0_i64; 79], vec![1]].concat();
    assert_eq!(one(18, node("Pad", "x p", "y"), &many, &[("p", &widths)]).unwrap().len(), 8);
    let permuted = with(node("Transpose", "x", "y"), list("perm", &axes.iter().rev().copied().collect::<Vec<_>>()));
    assert_eq!(one(18, permuted, &many, &[]).unwrap().to_f64_vec(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
}
