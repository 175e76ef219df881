//! Which constants of a model are its weights. Paddle's exporter, spox and others write weights as `Constant` nodes and not as
//! initializers, together with the numbers of the program's text (a factor, an ε). What tells them apart is who reads them: a
//! product, a convolution, a norm, a recurrence, a table that is looked up, or the bias added after one of these, directly or
//! through nodes that compute with constants alone (a transpose, a cast, a dequantization). Such a constant becomes a variable of
//! its output's name: a parameter, or a buffer in a file that has initializers to train, since that file says by its initializers
//! what its parameters are.
//!
//! Constants stay constants where the file's metadata says what its parameters are (`signature`), and so do the ones and zeros that
//! PyTorch's exporter gives to an instance normalisation when it writes a group norm.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::check::is_default;
use super::node::Node;
use super::value::{Stored, Value};
use crate::graph::ValueId;

/// How a node reads an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// As a weight, wherever it computes with anything that is no constant.
    Weight,
    /// As running statistics.
    Statistic,
    /// As an operand: as a bias or a scale, where that follows a product or a norm.
    Operand,
    /// As any other number.
    Number,
}

/// The operators of Microsoft's domain that read weights, and ONNX's own, with the inputs in which they do.
const WEIGHTS: &[(&str, &[usize])] = &[
    ("BatchNormalization", &[1, 2]),
    ("BiasGelu", &[1]),
    ("CausalConvWithState", &[1, 2]),
    ("Conv", &[1, 2]),
    ("ConvTranspose", &[1, 2]),
    ("DeformConv", &[1, 3]),
    ("Einsum", &[0, 1, 2, 3, 4, 5, 6, 7]),
    ("FastGelu", &[1]),
    ("FusedMatMul", &[0, 1]),
    ("GRU", &[1, 2, 3]),
    ("Gather", &[0]),
    ("Gemm", &[0, 1, 2]),
    ("GroupNormalization", &[1, 2]),
    ("InstanceNormalization", &[1, 2]),
    ("LSTM", &[1, 2, 3, 7]),
    ("LayerNormalization", &[1, 2]),
    ("MatMul", &[0, 1]),
    ("PRelu", &[1]),
    ("RMSNormalization", &[1]),
    ("RNN", &[1, 2, 3]),
    ("SimplifiedLayerNormalization", &[1]),
    ("SkipLayerNormalization", &[2, 3, 4]),
    ("SkipSimplifiedLayerNormalization", &[2, 3]),
    ("TransposeMatMul", &[0, 1]),
];

/// Products and convolutions, after which a bias may be added.
const PRODUCTS: &[&str] = &[
    "CausalConvWithState",
    "Conv",
    "ConvTranspose",
    "DeformConv",
    "Einsum",
    "FusedMatMul",
    "Gemm",
    "MatMul",
    "TransposeMatMul",
];

/// Operators that give their first input's values at other positions, in another shape or type.
const MOVEMENTS: &[&str] = &[
    "Cast",
    "CastLike",
    "DepthToSpace",
    "Dropout",
    "Expand",
    "Flatten",
    "Identity",
    "Reshape",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// Operators whose values are those of graphs within them.
const NESTED: &[&str] = &["If", "Loop", "Scan", "SequenceMap"];

/// What is known of a value's making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The result of a product with weights, perhaps moved, or with something added to it: a bias may follow.
    Product,
    /// A root, as in the denominator of a norm.
    Root,
    /// Something divided by a root: a scale may follow, and then a bias.
    Normal,
}

/// What an import has recorded of constants and their readers.
#[derive(Debug, Default)]
pub(super) struct Weights {
    /// What a value was computed from, where that is nothing but constants and initializers.
    origins: HashMap<ValueId, Vec<Rc<Stored>>>,
    kinds: HashMap<ValueId, Kind>,
    read: Vec<Rc<Stored>>,
    statistics: Vec<Rc<Stored>>,
    elsewhere: HashSet<*const Stored>,
}

/// An input as a node's readers see it.
struct Input {
    reading: Reading,
    origins: Vec<Rc<Stored>>,
    kind: Option<Kind>,
    /// Whether it depends on what is passed to a run.
    varies: bool,
    elements: usize,
}

fn tensor_id(value: &Value) -> Option<ValueId> {
    match value {
        Value::Tensor(tensor) => Some(tensor.id()),
        Value::Stored(stored) => stored.tensor.get().map(crate::graph::Tensor::id),
        Value::Optional(Some(inner)) => tensor_id(inner),
        Value::None | Value::Sequence(_) | Value::Optional(None) => None,
    }
}

impl Weights {
    fn origins(&self, value: &Value) -> Vec<Rc<Stored>> {
        match value {
            Value::Stored(stored) if stored.data.dtype().is_float() => vec![Rc::clone(stored)],
            Value::Optional(Some(inner)) => self.origins(inner),
            _ => tensor_id(value).and_then(|id| self.origins.get(&id)).cloned().unwrap_or_default(),
        }
    }

    fn input(&self, node: &Node<'_>, index: usize, value: &Value) -> Input {
        let (own, origins) = (node.operator(), self.origins(value));
        let known = is_default(&node.proto.domain) || node.proto.domain == "com.microsoft";
        let weights = WEIGHTS.iter().find(|(name, _)| known && *name == own).map_or(&[][..], |(_, indices)| *indices);
        let reading = match own {
            "BatchNormalization" if known && matches!(index, 3 | 4) => Reading::Statistic,
            "Add" | "Sub" | "Mul" | "Sum" if known => Reading::Operand,
            _ if weights.contains(&index) => Reading::Weight,
            _ => Reading::Number,
        };
        let varies = origins.is_empty() && !matches!(value, Value::None) && !node.importer.is_constant(value);
        let kind = tensor_id(value).and_then(|id| self.kinds.get(&id)).copied();
        Input { reading, origins, kind, varies, elements: node.ty(index).map_or(0, |ty| ty.len()) }
    }

    /// Takes note of a node that was imported.
    pub(super) fn observe(&mut self, node: &Node<'_>, outputs: &[Value]) {
        let own = node.operator();
        if NESTED.contains(&own) || own == "Constant" {
            return;
        }
        let inputs: Vec<Input> =
            (0..node.input_count()).map(|index| self.input(node, index, node.value(index))).collect();
        if inputs.iter().any(|input| input.varies) {
            self.read(node, &inputs, outputs);
        } else {
            self.computed(own, &inputs, outputs);
        }
    }

    /// A node that computes with constants alone: so its results come from them.
    fn computed(&mut self, own: &str, inputs: &[Input], outputs: &[Value]) {
        // Of a product of a weight and a number, the number is none. A scale is, that integers are multiplied with.
        let all =
            own == "DequantizeLinear" || inputs.iter().all(|input| input.origins.is_empty() || input.elements <= 1);
        let chosen = inputs.iter().filter(|input| all || input.elements > 1);
        let mut origins: Vec<Rc<Stored>> = Vec::new();
        for origin in chosen.flat_map(|input| &input.origins) {
            if !origins.iter().any(|known| Rc::ptr_eq(known, origin)) {
                origins.push(Rc::clone(origin));
            }
        }
        if origins.is_empty() {
            return;
        }
        for output in outputs {
            if let Value::Tensor(tensor) = output {
                self.origins.insert(tensor.id(), origins.clone());
            }
        }
    }

    /// A node that computes with constants and with what is passed to a run.
    fn read(&mut self, node: &Node<'_>, inputs: &[Input], outputs: &[Value]) {
        let own = node.operator();
        let neutral = own == "InstanceNormalization" && is_neutral(node);
        for (index, input) in inputs.iter().enumerate() {
            let weight = match input.reading {
                Reading::Weight => !neutral,
                Reading::Operand => is_operand_weight(node, inputs, index),
                Reading::Statistic => {
                    self.statistics.extend(input.origins.iter().cloned());
                    continue;
                }
                Reading::Number => false,
            };
            self.elsewhere.extend(input.origins.iter().map(Rc::as_ptr));
            if weight {
                self.read.extend(input.origins.iter().cloned());
            }
        }
        if let Some(kind) = kind_of(own, inputs) {
            for output in outputs {
                if let Some(id) = tensor_id(output) {
                    self.kinds.insert(id, kind);
                }
            }
        }
    }

    /// The constants that are weights, each once, in the order in which they were read; and whether they are but running
    /// statistics.
    pub(super) fn found(&self) -> Vec<(Rc<Stored>, bool)> {
        let mut found: Vec<(Rc<Stored>, bool)> = Vec::new();
        let read = self.read.iter().map(|stored| (stored, false));
        let statistics = self.statistics.iter().map(|stored| (stored, !self.elsewhere.contains(&Rc::as_ptr(stored))));
        for (stored, statistic) in read.chain(statistics) {
            if !found.iter().any(|(known, _)| Rc::ptr_eq(known, stored)) {
                found.push((Rc::clone(stored), statistic));
            }
        }
        found
    }
}

/// True for an instance normalisation by ones and zeros.
fn is_neutral(node: &Node<'_>) -> bool {
    let all = |input: usize, number: f64| match node.value(input) {
        Value::Stored(stored) => stored.is_constant && stored.data.to_f64_vec().iter().all(|&value| value == number),
        _ => false,
    };
    all(1, 1.0) && all(2, 0.0)
}

/// True where a constant is added to a product or to a scaled norm, or scales a norm: one number for each channel, or more.
fn is_operand_weight(node: &Node<'_>, inputs: &[Input], index: usize) -> bool {
    let (Some(input), [_, _]) = (inputs.get(index), inputs) else { return false };
    let Some(other) = inputs.get(1 - index) else { return false };
    let wanted = match node.operator() {
        "Mul" => Kind::Normal,
        _ => Kind::Product,
    };
    if other.kind != Some(wanted) {
        return false;
    }
    // A layer of one unit has a bias of one number; a number of no dimensions is one of the program's text.
    let single = || {
        let rank = node.ty(index).map_or(0, |ty| ty.shape.rank());
        let last = node.ty(1 - index).map_or(0, |ty| ty.shape.last().copied().unwrap_or(0));
        rank > 0 && last == 1
    };
    input.elements > 1 || input.elements == 1 && single()
}

/// What is known of the result of a node, by its inputs.
fn kind_of(own: &str, inputs: &[Input]) -> Option<Kind> {
    let kind = |index: usize| inputs.get(index).and_then(|input| input.kind);
    let number = |index: usize| inputs.get(index).is_some_and(|input| !input.varies && input.elements <= 1);
    match own {
        _ if PRODUCTS.contains(&own) => {
            let weighs = |input: &Input| input.reading == Reading::Weight && !input.origins.is_empty();
            inputs.iter().any(weighs).then_some(Kind::Product)
        }
        _ if MOVEMENTS.contains(&own) => kind(0),
        "Sqrt" => Some(Kind::Root),
        "Reciprocal" => kind(0).filter(|kind| *kind == Kind::Root),
        "Div" if kind(1) == Some(Kind::Root) => Some(Kind::Normal),
        "Div" if number(1) => kind(0),
        "Mul" if kind(0) == Some(Kind::Root) || kind(1) == Some(Kind::Root) => Some(Kind::Normal),
        "Mul" => match (kind(0), kind(1)) {
            // Scaled by a number each channel; then a bias may follow.
            (Some(Kind::Normal), None) if inputs.get(1).is_some_and(|scale| !scale.varies && scale.elements > 1) => {
                Some(Kind::Product)
            }
            (None, Some(Kind::Normal)) if inputs.first().is_some_and(|scale| !scale.varies && scale.elements > 1) => {
                Some(Kind::Product)
            }
            (kind, None) if number(1) => kind,
            (None, kind) if number(0) => kind,
            _ => None,
        },
        "Add" | "Concat" | "Sub" | "Sum" => {
            inputs.iter().any(|input| input.kind == Some(Kind::Product)).then_some(Kind::Product)
        }
        _ => None,
    }
}
