//! Operators on what detectors and texts give, of ONNX's other domains, and on bits.

use wgrad::onnx::proto::{AttributeProto, NodeProto, OperatorSetIdProto, TensorProto, attribute_type, data_type};
use wgrad::onnx::{Import, Model};
use wgrad::prelude::*;

use super::{declared, floats, graph, int, ints, list, node, of_opset, subgraph, text, with};

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: attribute_type::FLOAT, f: Some(value), ..AttributeProto::default() }
}

fn float_list(name: &str, values: &[f32]) -> AttributeProto {
    let floats = values.to_vec();
    AttributeProto { name: name.into(), r#type: attribute_type::FLOATS, floats, ..AttributeProto::default() }
}

fn of_domain(domain: &str, mut node: NodeProto) -> NodeProto {
    node.domain = domain.into();
    node
}

/// The output `y` of a node for x = 0, 1, 2, … of a type and shape. The value is known to the import.
fn evaluate(node: NodeProto, dtype: DType, shape: &[usize], initializers: &[TensorProto]) -> Result<TensorData> {
    let number = match dtype {
        I64 => data_type::INT64,
        I32 => data_type::INT32,
        _ => data_type::FLOAT,
    };
    let dims: Vec<i64> = shape.iter().map(|&extent| extent as i64).collect();
    let mut proto = of_opset(26, graph([node], [declared("x", number, &dims)], &["y"], initializers));
    for domain in ["ai.onnx.ml", "ai.onnx.preview"] {
        proto.opset_import.push(OperatorSetIdProto { domain: domain.into(), version: 1 });
    }
    let count: usize = shape.iter().product();
    let x = TensorData::from_vec((0..count).map(|k| k as f32).collect(), shape)?.cast(dtype)?;
    let imported = Model::from_proto(proto, None)?.import(&Import::new().value("x", x.clone()))?;
    let mut run = imported.graph.compile(&Device::cpu())?.run(&[("x", &x)])?;
    run.take("y").ok_or_else(|| Error::Data("no output".into()))
}

#[track_caller]
fn gives(node: NodeProto, dtype: DType, shape: &[usize], initializers: &[TensorProto], dims: &[usize], values: &[f64]) {
    let y = evaluate(node, dtype, shape, initializers).unwrap();
    assert_eq!((y.shape().dims(), &*y.to_f64_vec()), (dims, values));
}

#[track_caller]
fn says(node: NodeProto, dtype: DType, shape: &[usize], initializers: &[TensorProto], part: &str) {
    let message = evaluate(node, dtype, shape, initializers).unwrap_err().to_string();
    assert!(message.contains(part), "{message:?} should say {part:?}");
}

#[test]
fn the_best_of_boxes_that_overlap() {
    let boxes = [0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 1.0, 1.0, 0.0, 0.1];
    let given = |most: i64| [floats("b", &[1, 3, 4], &boxes), ints("m", &[most]), floats("t", &[1], &[0.5])];
    let suppress = || node("NonMaxSuppression", "b x m t", "y");
    // The last box is the best, and shares 0.9 of the first one.
    gives(suppress(), F32, &[1, 1, 3], &given(9), &[2, 3], &[0.0, 0.0, 2.0, 0.0, 0.0, 1.0]);
    gives(suppress(), F32, &[1, 1, 3], &given(1), &[1, 3], &[0.0, 0.0, 2.0]);
    gives(suppress(), F32, &[1, 1, 3], &given(-1), &[0, 3], &[]);
    let above = node("NonMaxSuppression", "b x m t t", "y");
    gives(above, F32, &[1, 2, 3], &given(1), &[2, 3], &[0.0, 0.0, 2.0, 0.0, 1.0, 2.0]);
    gives(node("NonMaxSuppression", "b x", "y"), F32, &[1, 1, 3], &given(1), &[0, 3], &[]);
    says(suppress(), F32, &[1, 1, 4], &given(1), "do not fit");
    says(suppress(), F32, &[3], &given(1), "takes boxes");
    says(with(suppress(), int("center_point_box", 2)), F32, &[1, 1, 3], &given(1), "should be 0 or 1");
}

#[test]
fn the_largest_in_the_bins_of_regions() {
    let regions = [0.0, 0.0, 0.0, 3.0, 3.0, 0.0, 1.0, 1.0, 2.0, 2.0, 0.0, 9.0, 9.0, 9.0, 9.0];
    let given = [floats("r", &[3, 5], &regions)];
    let pool = |shape: &[i64]| with(node("MaxRoiPool", "x r", "y"), list("pooled_shape", shape));
    let expected = [5.0, 7.0, 13.0, 15.0, 5.0, 6.0, 9.0, 10.0, 0.0, 0.0, 0.0, 0.0];
    gives(pool(&[2, 2]), F32, &[1, 1, 4, 4], &given, &[3, 1, 2, 2], &expected);
    let half = with(pool(&[1, 1]), float("spatial_scale", 0.5));
    gives(half, F32, &[1, 1, 4, 4], &given, &[3, 1, 1, 1], &[10.0, 5.0, 0.0]);
    says(pool(&[0, 2]), F32, &[1, 1, 4, 4], &given, "pooled_shape");
    says(pool(&[2, 2]), F32, &[4, 4], &given, "takes [n, channels, height, width]");
}

#[test]
fn counts_of_n_grams() {
    // 0, 1, 2, 3: singles 1 and 3, pairs (0, 2), (1, 2) and (9, 9).
    let vectorizer = |mode: &str, skip: i64, least: i64| {
        let node = with(with(node("TfIdfVectorizer", "x", "y"), text("mode", mode)), int("max_skip_count", skip));
        let node = with(with(node, int("min_gram_length", least)), int("max_gram_length", 2));
        let node = with(with(node, list("ngram_counts", &[0, 2])), list("ngram_indexes", &[2, 0, 3, 1, 4]));
        let node = with(node, list("pool_int64s", &[1, 3, 0, 2, 1, 2, 9, 9]));
        with(node, float_list("weights", &[2.0, 3.0, 5.0, 7.0, 11.0]))
    };
    gives(vectorizer("TF", 0, 1), I32, &[4], &[], &[5], &[1.0, 1.0, 1.0, 0.0, 0.0]);
    gives(vectorizer("TF", 1, 2), I64, &[1, 4], &[], &[1, 5], &[0.0, 1.0, 0.0, 1.0, 0.0]);
    for mode in ["IDF", "TFIDF"] {
        // Weights are those of n-grams, not of columns.
        gives(vectorizer(mode, 1, 1), I64, &[4], &[], &[5], &[3.0, 7.0, 2.0, 5.0, 0.0]);
    }
    gives(vectorizer("TF", 0, 1), I32, &[0], &[], &[5], &[0.0; 5]);
    says(vectorizer("other", 0, 1), I32, &[4], &[], "mode should be");
    says(vectorizer("TF", -1, 1), I32, &[4], &[], "max_skip_count");
    says(vectorizer("TF", 0, 0), I32, &[4], &[], "0 to 2 elements");
    says(vectorizer("TF", 0, 1), F32, &[4], &[], "integers");
    let bare =
        with(with(node("TfIdfVectorizer", "x", "y"), list("ngram_counts", &[0, 3])), list("pool_int64s", &[1, 2]));
    says(with(bare, list("ngram_indexes", &[0])), I32, &[4], &[], "do not fit a pool of 2");
}

#[test]
fn bits_as_another_type() {
    let bits = |to: i32| with(node("BitCast", "x", "y"), int("to", to.into()));
    gives(bits(data_type::INT32), F32, &[3], &[], &[3], &[0.0, f64::from(0x3f80_0000), f64::from(0x4000_0000)]);
    gives(bits(data_type::DOUBLE), I64, &[2], &[], &[2], &[0.0, f64::from_bits(1)]);
    gives(bits(data_type::FLOAT), F32, &[2], &[], &[2], &[0.0, 1.0]);
    says(bits(data_type::DOUBLE), F32, &[2], &[], "32 bits");
    says(node("BitCast", "x", "y"), F32, &[2], &[], "attribute");
}

#[test]
fn features() {
    let extract = || of_domain("ai.onnx.ml", node("ArrayFeatureExtractor", "x k", "y"));
    gives(extract(), F32, &[2, 3], &[ints("k", &[2, 0])], &[2, 2], &[2.0, 0.0, 5.0, 3.0]);
    gives(extract(), I64, &[3], &[ints("k", &[1])], &[1, 1], &[1.0]);
    says(extract(), F32, &[2, 3], &[ints("k", &[3])], "index 3 is out of range for 3 elements");
    let binarize =
        |threshold: f32| of_domain("ai.onnx.ml", with(node("Binarizer", "x", "y"), float("threshold", threshold)));
    gives(binarize(1.0), F32, &[3], &[], &[3], &[0.0, 0.0, 1.0]);
    gives(binarize(0.5), I32, &[3], &[], &[3], &[0.0, 1.0, 1.0]);
    gives(binarize(-1e30), I64, &[2], &[], &[2], &[1.0; 2]);
    gives(binarize(f32::NAN), I64, &[2], &[], &[2], &[0.0; 2]);
}

#[test]
fn attention_with_graphs_within() {
    let flex = || of_domain("ai.onnx.preview", node("FlexAttention", "x x x", "y"));
    let within = |name: &str, op: &str, inputs: &str| {
        let inner = graph([node(op, inputs, "out")], [declared("s", data_type::FLOAT, &[])], &["out"], []);
        subgraph(name, inner)
    };
    let shape = &[1, 1, 2, 1];
    // Scores less themselves are all 0, so everybody looks at both alike; then shares are doubled.
    let level = with(flex(), within("score_mod", "Sub", "s s"));
    for (node, expected) in [(level.clone(), 0.5), (with(level, within("prob_mod", "Add", "s s")), 1.0)] {
        let y = evaluate(node, F32, shape, &[]).unwrap();
        assert!(y.to_f64_vec().iter().all(|value| (value - expected).abs() < 1e-6), "{y:?}");
    }
    says(with(flex(), within("score_mod", "Shape", "s")), F32, shape, &[], "score_mod should keep");
    says(with(flex(), int("softmax_precision", 7)), F32, shape, &[], "no type of floats");
    says(flex(), F32, &[2, 1], &[], "do not fit");
}
