//! Builds scalar expressions.

use rustc_hash::FxHashMap;

use super::affine::Affine;
use super::expression::{Constant, NodeId, ScalarExpr, ScalarNode};
use super::folded::folded;
use super::function::ScalarFunction;
use crate::tensor::DType;

/// Builds expressions; equal steps are made once, and operations on constants alone or with neutral elements vanish.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    pub(crate) nodes: Vec<ScalarNode>,
    pub(crate) types: Vec<DType>,
    known: FxHashMap<ScalarNode, NodeId>,
    /// The float type that [`number`](Self::number) makes.
    float: Option<DType>,
    /// The first thing that was asked for and cannot be.
    pub(crate) problem: Option<String>,
}

impl Builder {
    /// An empty one, whose bare numbers are of this float type.
    pub fn new(float: DType) -> Self {
        Self { float: Some(float.compute()), ..Self::default() }
    }

    pub(crate) fn push(&mut self, node: ScalarNode, dtype: DType) -> NodeId {
        if let Some(&id) = self.known.get(&node) {
            return id;
        }
        let id = NodeId(self.nodes.len() as u32);
        self.known.insert(node.clone(), id);
        self.nodes.push(node);
        self.types.push(dtype);
        id
    }

    pub(super) fn node(&self, id: NodeId) -> &ScalarNode {
        &self.nodes[id.index()]
    }

    /// The compute type of a node.
    pub(crate) fn dtype(&self, id: NodeId) -> DType {
        self.types[id.index()]
    }

    /// A number of the given compute type.
    pub fn constant(&mut self, dtype: DType, value: f64) -> NodeId {
        let dtype = dtype.compute();
        self.push(ScalarNode::Constant(Constant { dtype, value }), dtype)
    }

    /// A number of the builder's float type.
    pub fn number(&mut self, value: f64) -> NodeId {
        self.constant(self.float.unwrap_or(DType::F32), value)
    }

    /// The mapped coordinates as an i32.
    pub fn index(&mut self, at: Affine) -> NodeId {
        if at.strides.iter().all(|&stride| stride == 0) {
            return self.constant(DType::I32, at.offset as f64);
        }
        self.push(ScalarNode::Index(at), DType::I32)
    }

    /// An element of an input of the given stored type.
    pub fn load(&mut self, input: usize, stored: DType, at: Affine) -> NodeId {
        self.push(ScalarNode::Load { input, at }, stored.compute())
    }

    /// An element of an input at a computed address.
    pub fn gather(&mut self, input: usize, stored: DType, address: NodeId) -> NodeId {
        if self.types.get(address.index()) != Some(&DType::I32) {
            self.problem.get_or_insert("an address is an i32".to_owned());
            return self.constant(stored, 0.0);
        }
        self.push(ScalarNode::Gather { input, address }, stored.compute())
    }

    /// The value that the epilogue receives.
    pub fn accumulator(&mut self, dtype: DType) -> NodeId {
        self.total(0, dtype)
    }

    /// The total of a fold of a row, by its number.
    pub(crate) fn total(&mut self, number: usize, dtype: DType) -> NodeId {
        self.push(ScalarNode::Accumulator(number), dtype.compute())
    }

    /// The constant that a node is.
    fn as_constant(&self, id: NodeId) -> Option<Constant> {
        match self.nodes[id.index()] {
            ScalarNode::Constant(constant) => Some(constant),
            _ => None,
        }
    }

    /// True where a node is a call of a function.
    fn calls(&self, id: NodeId, wanted: ScalarFunction) -> bool {
        matches!(self.nodes[id.index()], ScalarNode::Call { function, .. } if function == wanted)
    }

    /// What is wrong with a function's arguments, but for their types.
    fn unfit(&self, function: ScalarFunction, arguments: &[NodeId]) -> Option<String> {
        let (name, arity) = (function.name(), function.arity());
        if arguments.len() != arity {
            return Some(format!("{name} takes {arity} arguments, not {}", arguments.len()));
        }
        let is_known = |id: &NodeId| id.index() < self.nodes.len();
        (!arguments.iter().all(is_known)).then(|| format!("{name} is given a node of another builder"))
    }

    /// A function of nodes. What does not fit (types, the number of arguments, a node of another builder) is an error when the operator is
    /// compiled.
    pub fn call(&mut self, function: ScalarFunction, arguments: &[NodeId]) -> NodeId {
        use ScalarFunction as F;
        if let Some(problem) = self.unfit(function, arguments) {
            self.problem.get_or_insert(problem);
            return self.number(0.0);
        }
        let dtypes: Vec<DType> = arguments.iter().map(|&id| self.dtype(id)).collect();
        let dtype = function.result(&dtypes).unwrap_or_else(|problem| {
            self.problem.get_or_insert(format!("{}: {problem}", function.name()));
            DType::F32
        });
        let dtype = dtype.compute();
        let number = |this: &Self, k: usize| this.as_constant(arguments[k]).map(|constant| constant.value);
        match function {
            F::Mul if number(self, 0) == Some(1.0) => return arguments[1],
            F::Mul | F::Div if number(self, 1) == Some(1.0) => return arguments[0],
            F::Add | F::Sub if number(self, 1) == Some(0.0) => return arguments[0],
            F::Add if number(self, 0) == Some(0.0) => return arguments[1],
            F::Cast(to) | F::BitCast(to) if to == dtypes[0] => return arguments[0],
            // Rounded to 16 bits already.
            F::Cast(DType::F16 | DType::BF16) if self.calls(arguments[0], function) => return arguments[0],
            F::Select if arguments[1] == arguments[2] => return arguments[1],
            F::Select if number(self, 0) == Some(1.0) => return arguments[1],
            F::Select if number(self, 0) == Some(0.0) => return arguments[2],
            // Of one value, these tell numbers from NaN; as comparisons, a driver may take them to be known.
            F::NotEqual if arguments[0] == arguments[1] && dtypes[0].is_float() => {
                return self.call(F::IsNan, &arguments[..1]);
            }
            F::Equal | F::LessEqual | F::GreaterEqual if arguments[0] == arguments[1] && dtypes[0].is_float() => {
                let none = self.call(F::IsNan, &arguments[..1]);
                return self.call(F::Not, &[none]);
            }
            F::Less | F::Greater if arguments[0] == arguments[1] => return self.constant(DType::Bool, 0.0),
            F::Pow => {
                if let Some(power) = number(self, 1).and_then(|exponent| self.whole_power(arguments[0], exponent)) {
                    return power;
                }
            }
            _ => {}
        }
        let constants: Option<Vec<Constant>> = arguments.iter().map(|&id| self.as_constant(id)).collect();
        if let Some(value) = constants.and_then(|constants| folded(function, &constants, dtype)) {
            return self.constant(dtype, value);
        }
        self.push(ScalarNode::Call { function, arguments: arguments.to_vec() }, dtype)
    }

    /// Small powers as products, which are as exact and cheaper.
    fn whole_power(&mut self, base: NodeId, exponent: f64) -> Option<NodeId> {
        Some(match exponent {
            0.0 => self.constant(self.dtype(base), 1.0),
            1.0 => base,
            2.0 => self.mul(base, base),
            3.0 => {
                let square = self.mul(base, base);
                self.mul(square, base)
            }
            _ => return None,
        })
    }

    /// a + b
    pub fn add(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.call(ScalarFunction::Add, &[a, b])
    }
    /// a − b
    pub fn sub(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.call(ScalarFunction::Sub, &[a, b])
    }
    /// a · b
    pub fn mul(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.call(ScalarFunction::Mul, &[a, b])
    }
    /// a / b
    pub fn div(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.call(ScalarFunction::Div, &[a, b])
    }
    /// −a
    pub fn neg(&mut self, a: NodeId) -> NodeId {
        self.call(ScalarFunction::Neg, &[a])
    }
    /// condition ? a : b
    pub fn select(&mut self, condition: NodeId, a: NodeId, b: NodeId) -> NodeId {
        self.call(ScalarFunction::Select, &[condition, a, b])
    }
    pub(super) fn reciprocal(&mut self, a: NodeId) -> NodeId {
        self.call(ScalarFunction::Reciprocal, &[a])
    }
    /// 1 where a is not below b, ½ where they are equal, else 0: both of two NaNs have a share, as in PyTorch.
    pub(super) fn preference(&mut self, a: NodeId, b: NodeId) -> NodeId {
        let (zero, half, one) = (self.number(0.0), self.number(0.5), self.number(1.0));
        let below = self.call(ScalarFunction::Less, &[a, b]);
        let equal = self.call(ScalarFunction::Equal, &[a, b]);
        let rest = self.select(below, zero, one);
        self.select(equal, half, rest)
    }
    /// e^(−scale·a²)
    pub(super) fn bell(&mut self, a: NodeId, scale: f64) -> NodeId {
        let square = self.mul(a, a);
        let negative = self.number(-scale);
        let exponent = self.mul(negative, square);
        self.call(ScalarFunction::Exp, &[exponent])
    }
    /// a / (a² + b²), 0 at the origin as in PyTorch; scaled, so that no square leaves the range, and nothing is divided by a subnormal number.
    pub(super) fn angle_slope(&mut self, a: NodeId, b: NodeId) -> NodeId {
        use ScalarFunction as F;
        let (zero, one) = (self.number(0.0), self.number(1.0));
        let (left, right) = (self.call(F::Abs, &[a]), self.call(F::Abs, &[b]));
        let size = self.call(F::Maximum, &[left, right]);
        let (smallest_normal, lift) = (self.number(f64::from(f32::MIN_POSITIVE)), self.number(16_777_216.0));
        let is_small = self.call(F::Less, &[size, smallest_normal]);
        let lift = self.select(is_small, lift, one);
        let (a, b, size) = (self.mul(a, lift), self.mul(b, lift), self.mul(size, lift));
        let (left, right) = (self.div(a, size), self.div(b, size));
        let (first, second) = (self.mul(left, left), self.mul(right, right));
        let squares = self.add(first, second);
        let slope = self.div(left, squares);
        let slope = self.div(slope, size);
        let slope = self.mul(slope, lift);
        let (origin, endless) = (self.call(F::Equal, &[size, zero]), self.call(F::IsInf, &[size]));
        let flat = self.call(F::Or, &[origin, endless]);
        self.select(flat, zero, slope)
    }

    /// 1 / √(1 − a²), without the loss near ±1.
    pub(super) fn across_slope(&mut self, a: NodeId) -> NodeId {
        let one = self.number(1.0);
        let (less, more) = (self.sub(one, a), self.add(one, a));
        let square = self.mul(less, more);
        self.call(ScalarFunction::Rsqrt, &[square])
    }

    /// Copies another expression's nodes into this one. `leaf` may replace a node (an input by what computes it); where it
    /// returns `None`, the node is copied with `address` applied to its map. Returns each node's new id.
    pub(crate) fn include(
        &mut self,
        other: &ScalarExpr,
        mut leaf: impl FnMut(&mut Self, &ScalarNode, DType) -> Option<NodeId>,
    ) -> Vec<NodeId> {
        let mut ids: Vec<NodeId> = Vec::with_capacity(other.nodes.len());
        for (node, &dtype) in other.nodes.iter().zip(&other.types) {
            let id = leaf(self, node, dtype).unwrap_or_else(|| match node {
                ScalarNode::Call { function, arguments } => {
                    let arguments: Vec<NodeId> = arguments.iter().map(|argument| ids[argument.index()]).collect();
                    self.call(*function, &arguments)
                }
                ScalarNode::Gather { input, address } => {
                    let address = ids[address.index()];
                    self.push(ScalarNode::Gather { input: *input, address }, dtype)
                }
                ScalarNode::Index(at) => self.index(at.clone()),
                other => self.push(other.clone(), dtype),
            });
            ids.push(id);
        }
        ids
    }

    /// The finished expression, without the nodes that no output needs.
    pub(crate) fn finish(self, dims: Vec<usize>, inputs: Vec<DType>, outputs: Vec<(NodeId, DType)>) -> ScalarExpr {
        ScalarExpr { dims, inputs, nodes: self.nodes, types: self.types, outputs }.pruned()
    }
}
