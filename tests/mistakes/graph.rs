//! Mistakes made while building a graph.

use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use wgrad::ops::keepdim;

use super::anything::call_everything;
use wgrad::ops::{Initial, Role, Variable};
use wgrad::prelude::*;
use wgrad::scalar::ScalarFunction;
use wgrad::tensor::TensorType;

/// The inputs of every case: f, h: floats [2, 3] and [3, 2]; i: i32 [2, 3]; b: bool [2, 3]; u: u8 [4]; s: a number; z: f32 [0, 3].
struct Fixtures {
    g: Graph,
    f: Tensor,
    h: Tensor,
    i: Tensor,
    b: Tensor,
    u: Tensor,
    s: Tensor,
    z: Tensor,
}

fn fixtures() -> Fixtures {
    let g = Graph::new();
    let input = |name: &str, shape: &[usize], dtype: DType| g.input(name, shape, dtype);
    let (f, h, i, b) =
        (input("f", &[2, 3], F32), input("h", &[3, 2], F32), input("i", &[2, 3], I32), input("b", &[2, 3], Bool));
    let (u, s, z) = (input("u", &[4], U8), input("s", &[], F32), input("z", &[0, 3], F32));
    Fixtures { g, f, h, i, b, u, s, z }
}

/// The cases so far: how many, and what is wrong with them.
#[derive(Default)]
struct Table {
    count: usize,
    complaints: Vec<String>,
}

impl Table {
    /// Makes a mistake and looks at the error: its operator, parts of its message, and that it names the caller's line. Then
    /// goes on building on what the mistaken call gave back.
    #[track_caller]
    fn case<R: Rest>(&mut self, operator: &str, parts: &[&str], mistake: impl FnOnce(&Fixtures) -> R) {
        self.count += 1;
        let line = Location::caller().line();
        let run = AssertUnwindSafe(|| {
            let given = fixtures();
            let rest = mistake(&given).rest();
            let error = given.g.compile(&Device::cpu()).err();
            for tensor in &rest {
                call_everything(tensor, &given.f);
                call_everything(&given.i, tensor);
            }
            let again = given.g.compile(&Device::cpu()).err();
            (error.map(|error| (error.to_string(), error)), again.map(|error| error.to_string()))
        });
        let complaint = match catch_unwind(run) {
            Err(_) => Some("it panicked".to_owned()),
            Ok((None, _)) => Some("it was taken for right".to_owned()),
            Ok((Some((text, error)), again)) => match error {
                Error::Graph { operator: found, origin, .. } => {
                    let missing: Vec<&&str> = parts.iter().filter(|part| !text.contains(**part)).collect();
                    let right_origin = origin.file().ends_with("mistakes/graph.rs") && origin.line() == line;
                    let first_stays = again.as_deref() == Some(text.as_str());
                    (found != operator || !missing.is_empty() || !right_origin || !first_stays).then(|| {
                        format!("{text:?}; wanted {operator:?}, {parts:?} and line {line}; afterwards {again:?}")
                    })
                }
                other => Some(format!("it is {other:?}")),
            },
        };
        self.complaints.extend(complaint.map(|complaint| format!("line {line}: {complaint}")));
    }
}

/// The tensors that a mistaken call gives back.
trait Rest {
    fn rest(self) -> Vec<Tensor>;
}
impl Rest for Tensor {
    fn rest(self) -> Vec<Tensor> {
        vec![self]
    }
}
impl Rest for (Tensor, Tensor) {
    fn rest(self) -> Vec<Tensor> {
        vec![self.0, self.1]
    }
}
impl Rest for Vec<Tensor> {
    fn rest(self) -> Vec<Tensor> {
        self
    }
}
impl Rest for () {
    fn rest(self) -> Vec<Tensor> {
        Vec::new()
    }
}

fn variable(name: &str, shape: &[usize], initial: Initial) -> Variable {
    Variable::parameter(name, TensorType::new(F32, shape), initial)
}

#[test]
#[rustfmt::skip]
fn mistakes_of_shape() {
    let mut table = Table::default();
    table.case("add", &["[2, 3]", "[3, 2]"], |t| &t.f + &t.h);
    table.case("mul", &["[2, 3]", "[3, 2]"], |t| &t.f * &t.h);
    table.case("pow", &["[2, 3]", "[3, 2]"], |t| t.f.pow(&t.h));
    table.case("select", &["[2, 3]", "[3, 2]"], |t| t.b.select(&t.h, &t.h));
    table.case("lt", &["[2, 3]", "[3, 2]"], |t| t.f.lt(&t.h));
    table.case("matmul", &["[2, 3]", "3 columns", "2 rows"], |t| t.f.matmul(&t.f));
    table.case("matmul", &["a number is no matrix", "[]", "[2, 3]"], |t| t.s.matmul(&t.f));
    table.case("matmul", &["[2, 2, 3]", "[3, 3, 2]", "do not broadcast"], |t| t.f.broadcast_to([2, 2, 3]).matmul(&t.h.broadcast_to([3, 3, 2])));
    table.case("matmul", &["2 columns", "3 rows"], |t| t.f.at(1, 0).matmul(&t.h));
    table.case("reshape", &["[2, 3]", "6", "[4]", "4"], |t| t.f.reshape([4]));
    table.case("reshape", &["[0, 3]", "[1]"], |t| t.z.reshape([1]));
    table.case("broadcast_to", &["[2, 3]", "[2, 4]"], |t| t.f.broadcast_to([2, 4]));
    table.case("broadcast_to", &["[2, 3]", "[3]"], |t| t.f.broadcast_to([3]));
    table.case("concat", &["[2, 3]", "[3, 2]", "axis 0"], |t| t.g.concat(&[&t.f, &t.h], 0));
    table.case("concat", &["[2, 3]", "[]"], |t| t.g.concat(&[&t.f, &t.s], 0));
    table.case("concat", &["at least one"], |t| t.g.concat(&[], 0));
    table.case("concat", &["at least one"], |t| t.g.stack(&[], 0));
    table.case("concat", &["[1, 2, 3]", "[1, 3, 2]"], |t| t.g.stack(&[&t.f, &t.h], 0));
    table.case("squeeze", &["axis 0", "[2, 3]"], |t| t.f.squeeze(0));
    table.case("split", &["[1, 1]", "[2, 3]", "axis 1"], |t| t.f.split(1, &[1, 1]));
    table.case("split", &["[2, 3]"], |t| t.f.split(1, &[usize::MAX, 4]));
    table.case("slice", &["1..5", "axis 1", "[2, 3]"], |t| t.f.slice(1, 1, 5));
    table.case("slice", &["2..1"], |t| t.f.slice(1, 2, 1));
    table.case("slice", &["step", "axis 1", "0"], |t| t.f.slice_steps(&[0, 0], &[2, 2], &[1, 0]));
    table.case("slice", &["each axis", "[2, 3]"], |t| t.f.slice_steps(&[0], &[2], &[1]));
    table.case("slice", &["each axis", "[2, 3]"], |t| t.f.slice_steps(&[], &[2, 3], &[]));
    table.case("slice", &["3 elements from 1", "steps of 2", "axis 1"], |t| t.f.slice_steps(&[0, 1], &[2, 3], &[1, 2]));
    table.case("slice", &["2 elements from 0", "steps of -1"], |t| t.f.slice_steps(&[0, 0], &[2, 2], &[1, -1]));
    table.case("at", &["index 3", "axis 1", "[2, 3]"], |t| t.f.at(1, 3));
    table.case("pad", &["each axis", "[2, 3]"], |t| t.f.pad(&[1], &[1], 0.0));
    table.case("pad", &["each axis", "[2, 3]"], |t| t.f.pad(&[0, 0], &[0], 0.0));
    table.case("permute", &["[0, 0]", "[2, 3]"], |t| t.f.permute(&[0, 0]));
    table.case("permute", &["[0]", "[2, 3]"], |t| t.f.permute(&[0]));
    table.case("gather", &["[3, 3]", "[2, 3]"], |t| t.f.gather(1, &t.i.take(0, &t.g.arange(3))));
    table.case("take", &["nothing to pick", "[0, 3]"], |t| t.z.take(0, &t.i));
    table.case("gather", &["nothing to pick", "[0, 3]"], |t| t.z.gather(0, &t.i));
    table.case("index_select", &["one dimension", "[2, 3]"], |t| t.f.index_select(0, &t.i));
    table.case("scatter_add", &["[2, 3]", "[3, 2]"], |t| t.f.scatter_add(0, &t.i, &t.h));
    table.case("scatter_rows", &["[n, d]", "[2, 3]"], |t| t.f.scatter_rows(&t.i, &t.f));
    table.case("scatter_rows", &["[2, 3]", "[3]"], |t| t.f.index_add(0, &t.g.arange(3), &t.f));
    table.case("index_add", &["[2, 3]", "[3, 2]", "axis 0"], |t| t.f.index_add(0, &t.g.arange(3), &t.h));
    table.case("index_copy", &["[2, 3]", "[3, 2]", "axis 0"], |t| t.f.index_copy(0, &t.g.arange(3), &t.h));
    table.case("index_copy", &["axis 2"], |t| t.f.index_copy(2, &t.i, &t.f));
    table.case("random_choice", &["1 to 16777216", "not 0"], |t| t.g.random_choice([3], &[]));
    table.case("random_choice", &["weight 1", "-0.5"], |t| t.g.random_choice([3], &[1.0, -0.5]));
    table.case("random_choice", &["weight 0", "NaN"], |t| t.g.random_choice([3], &[f64::NAN]));
    table.case("random_choice", &["all weights are 0"], |t| t.g.random_choice([3], &[0.0, 0.0]));
    let (pairs, bags) = (nn::Word2Vec::skip_gram(&[3, 2], 4), nn::Word2Vec::cbow(&[3, 2], 4));
    table.case("word2vec \"w\"", &["[n, 2]", "[2, 3]"], |t| pairs.build(&t.g, "w").forward(&t.i));
    table.case("word2vec \"w\"", &["[n, 1 + m]", "f32[2, 3]"], |t| bags.build(&t.g, "w").forward(&t.f));
    table.case("top_k", &["axis 1", "[2, 3]", "4"], |t| t.f.top_k(4, 1));
    table.case("max", &["nothing to choose", "[0, 3]", "[0]"], |t| t.z.max([0]));
    table.case("argmin", &["nothing to choose", "[0, 3]"], |t| t.z.argmin(0));
    table.case("min", &["nothing to choose"], |t| t.z.min([0, 1]));
    table.case("reshape", &["elements"], |t| t.f.reshape([usize::MAX, 4]));
    table.case("input \"large\"", &["more elements"], |t| t.g.input("large", [1 << 20, 1 << 20], F32));
    table.case("broadcast_to", &["more elements", "4294967296"], |t| t.s.broadcast_to([1 << 32]));
    table.case("pad", &["more elements"], |t| t.f.pad(&[usize::MAX, 0], &[1, 0], 0.0));
    table.case("coordinate", &["more elements"], |t| t.g.arange(usize::MAX));
    table.finish(50);
}

#[test]
#[rustfmt::skip]
fn mistakes_of_axes() {
    let mut table = Table::default();
    table.case("sum", &["axis 2", "[2, 3]"], |t| t.f.sum([2]));
    table.case("mean", &["axis -3", "[2, 3]"], |t| t.f.mean([-3]));
    table.case("variance", &["axis 5", "[2, 3]"], |t| t.f.variance([5], 1));
    table.case("sum", &["[0, 0]", "twice"], |t| t.f.sum([0, -2]));
    table.case("argmax", &["axis 2"], |t| t.f.argmax(2));
    table.case("max", &["axis 0", "[]"], |t| t.s.max([0]));
    table.case("log_sum_exp", &["axis 9"], |t| t.f.log_sum_exp(keepdim([9])));
    table.case("softmax", &["axis 2", "[2, 3]"], |t| t.f.softmax(2));
    table.case("log_softmax", &["axis 2", "[2, 3]"], |t| t.f.log_softmax(2));
    table.case("cumulative_sum", &["axis 2"], |t| t.f.cumulative_sum(2));
    table.case("sort", &["axis 2"], |t| t.f.sort(2, wgrad::ops::Order::Ascending));
    table.case("top_k", &["axis -3"], |t| t.f.top_k(1, -3));
    table.case("flip", &["axis 2"], |t| t.f.flip(&[0, 2]));
    table.case("slice", &["axis 2"], |t| t.f.slice(2, 0, 1));
    table.case("split", &["axis 2"], |t| t.f.split(2, &[1, 2]));
    table.case("at", &["axis 0", "[]"], |t| t.s.at(0, 0));
    table.case("squeeze", &["axis 2"], |t| t.f.squeeze(2));
    table.case("unsqueeze", &["axis 4", "[2, 3]"], |t| t.f.unsqueeze(4));
    table.case("flatten", &["axis 3", "[2, 3]"], |t| t.f.flatten(3));
    table.case("transpose", &["axis 2"], |t| t.f.transpose(0, 2));
    table.case("gather", &["axis 2"], |t| t.f.gather(2, &t.i));
    table.case("take", &["axis 2"], |t| t.f.take(2, &t.i));
    table.case("scatter_add", &["axis 2"], |t| t.f.scatter_add(2, &t.i, &t.f));
    table.case("index_add", &["axis 2"], |t| t.f.index_add(2, &t.i, &t.f));
    table.case("concat", &["axis 2"], |t| t.g.concat(&[&t.f, &t.f], 2));
    table.case("unsqueeze", &["axis 3"], |t| t.g.stack(&[&t.f, &t.f], 3));
    table.case("coordinate", &["axis 2", "[2, 3]"], |t| t.g.coordinate([2, 3], 2));
    table.finish(27);
}

#[test]
#[rustfmt::skip]
fn mistakes_of_types() {
    let mut table = Table::default();
    table.case("add", &["f32", "i32", "cast"], |t| &t.f + &t.i);
    table.case("matmul", &["f32", "i32", "cast"], |t| t.f.matmul(&t.i.transpose(0, 1)));
    table.case("matmul", &["bool", "cast"], |t| t.b.matmul(&t.b.transpose(0, 1)));
    table.case("exp", &["floats", "i32"], |t| t.i.exp());
    table.case("add", &["bool"], |t| &t.b + &t.b);
    table.case("add", &["u8", "cast"], |t| &t.u + 1);
    table.case("neg", &["u32"], |t| -t.i.cast(U32));
    table.case("logical_and", &["truth values", "f32"], |t| t.f.logical_and(&t.f));
    table.case("logical_not", &["truth values", "i32"], |t| t.i.logical_not());
    table.case("bitwise_or", &["i32, i64 or u32", "f32"], |t| t.f.bitwise_or(&t.f));
    table.case("select", &["bool", "f32"], |t| t.f.select(&t.f, &t.f));
    table.case("select", &["f32", "i32"], |t| t.b.select(&t.f, &t.i));
    table.case("eq", &["f32", "bool"], |t| t.f.eq(&t.b));
    table.case("eq", &["u8"], |t| t.u.eq(&t.u));
    table.case("sum", &["u8"], |t| t.u.sum([0]));
    table.case("sum", &["truth values"], |t| t.b.sum([0]));
    table.case("mean", &["floats", "i32"], |t| t.i.mean([0]));
    table.case("variance", &["floats", "bool"], |t| t.b.variance([0], 0));
    table.case("log_sum_exp", &["floats", "i32"], |t| t.i.log_sum_exp([0]));
    table.case("cumulative_sum", &["bool"], |t| t.b.cumulative_sum(0));
    table.case("sort", &["bool"], |t| t.b.sort(0, wgrad::ops::Order::Ascending));
    table.case("gather", &["i32 or i64 indices", "f32"], |t| t.f.gather(0, &t.f));
    table.case("take", &["i32 or i64 indices", "bool"], |t| t.f.take(0, &t.b));
    table.case("scatter_add", &["i32 or i64 indices"], |t| t.f.scatter_add(0, &t.f, &t.f));
    table.case("scatter_add", &["f32", "i32"], |t| t.f.scatter_add(0, &t.i, &t.i));
    table.case("one_hot", &["i32 or i64 labels", "f32"], |t| t.f.one_hot(3, F32));
    table.case("concat", &["f32", "i32"], |t| t.g.concat(&[&t.f, &t.i], 0));
    table.case("constant", &["0.5", "i32"], |t| &t.i * 0.5);
    table.case("constant", &["-1", "u32"], |t| t.i.cast(U32).maximum(-1));
    table.case("constant", &["NaN", "i32"], |t| t.i.filled_like(f64::NAN));
    table.case("pad", &["0.5", "i32"], |t| t.i.pad(&[1, 1], &[1, 1], 0.5));
    table.case("add", &["2 operands", "1"], |t| t.f.elementwise(ScalarFunction::Add, &[]));
    table.case("threefry", &["u32", "i32"], |t| t.i.elementwise(ScalarFunction::Threefry(0), &[&t.i, &t.i, &t.i]));
    table.case("sub", &["f16", "bf16"], |t| t.f.cast(F16) - t.f.cast(BF16));
    table.case("add", &["f32", "f64"], |t| &t.f + t.f.cast(F64));
    table.finish(35);
}

#[test]
#[rustfmt::skip]
fn mistakes_of_names_graphs_and_gradients() {
    let mut table = Table::default();
    table.case("input", &["\"f\"", "used already"], |t| t.g.input("f", [1], F32));
    table.case("input", &["empty"], |t| t.g.input("", [1], F32));
    table.case("variable", &["\"f\"", "used already"], |t| t.g.variable(variable("f", &[2], Initial::Constant(0.0))));
    table.case("variable", &["\"w\"", "used already"], |t| { t.g.variable(variable("w", &[2], Initial::Constant(0.0))); t.g.variable(variable("w", &[3], Initial::Constant(0.0))) });
    table.case("variable", &["\"w\"", "used already"], |t| { let w = variable("w", &[2], Initial::Constant(0.0)); t.g.variable(w.clone()); t.g.variable(Variable { role: Role::Buffer, ..w }) });
    table.case("variable \"w\"", &["f32[2]", "f32[1]"], |t| t.g.variable(variable("w", &[2], Initial::Values(TensorData::zeros(F32, [1])))));
    table.case("output", &["\"y\"", "used already"], |t| { t.g.output("y", &t.f); t.g.output("y", &t.h); });
    table.case("output", &["empty"], |t| t.g.output("", &t.f));
    table.case("output", &["\"y\"", "another graph"], |t| t.g.output("y", &Graph::new().arange(3)));
    table.case("add", &["another graph"], |t| &t.f + Graph::new().input("x", [2, 3], F32));
    table.case("matmul", &["another graph"], |t| t.f.matmul(&Graph::new().input("x", [3, 3], F32)));
    table.case("concat", &["another graph"], |t| t.g.concat(&[&Graph::new().input("x", [3, 3], F32)], 0));
    table.case("concat", &["another graph"], |t| t.g.concat(&[&Graph::new().input("x", [3, 3], F32), &t.f], 7));
    table.case("assign", &["another graph"], |t| t.g.assign(&Graph::new().arange(3), &t.f));
    table.case("assign", &["only a variable"], |t| t.g.assign(&t.f, &t.f));
    table.case("assign", &["f32[2]", "f32[2, 3]"], |t| t.g.assign(&t.g.variable(variable("w", &[2], Initial::Constant(0.0))), &t.f));
    table.case("assign", &["twice"], |t| { let w = t.g.variable(variable("w", &[2, 3], Initial::Constant(0.0))); t.g.assign(&w, &t.f); t.g.assign(&w, &t.f); });
    table.case("gradients", &["floats", "i32"], |t| t.g.gradients(&t.i, &[&t.f]));
    table.case("gradients", &["floats", "i32"], |t| t.g.gradients(&t.f, &[&t.i]));
    table.case("gradients", &["another graph"], |t| t.g.gradients(&t.f, &[&Graph::new().input("x", [3, 3], F32)]));
    table.case("gradients", &["another graph"], |t| t.g.gradients(&Graph::new().input("x", [3, 3], F32), &[&t.f]));
    table.case("gradients", &["f32[3, 2]", "f32[2, 3]"], |t| t.g.gradients_from(&[(&t.f, &t.h)], &[&t.f]));
    table.case("gradients", &["another graph"], |t| t.g.gradients_from(&[(&t.f, &Graph::new().input("x", [2, 3], F32))], &[&t.f]));
    table.finish(23);
}

impl Table {
    fn finish(self, at_least: usize) {
        assert!(self.count >= at_least, "{} cases", self.count);
        assert!(self.complaints.is_empty(), "{} complaints:\n{}", self.complaints.len(), self.complaints.join("\n"));
    }
}

#[test]
fn nothing_that_is_built_on_sound_tensors_panics() {
    for shape in [&[][..], &[1], &[3], &[0], &[2, 3], &[0, 3], &[1, 1], &[2, 1, 3], &[2, 3, 2, 2]] {
        for dtype in DType::ALL {
            let run = AssertUnwindSafe(|| {
                let g = Graph::new();
                let (x, y) = (g.input("x", shape, dtype), g.input("y", shape, F32));
                call_everything(&x, &x.zeros_like());
                call_everything(&y, &g.input("z", [2, 3], I32));
                g.compile(&Device::cpu()).err()
            });
            assert!(matches!(catch_unwind(run), Ok(Some(Error::Graph { .. }))), "{dtype} {shape:?}");
        }
    }
}
