//! Operators that are an expression: each element of the output is a scalar expression of elements of the inputs. Movement is one
//! too: an affine map of coordinates, or a load at a computed address.

use std::cell::RefCell;

use super::Tensor;
use crate::scalar::{Affine, Builder, NodeId, ScalarExpr, ScalarFunction, ScalarNode};
use crate::tensor::{DType, TensorType};

/// How an expression reads one of its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputAccess {
    /// Through affine maps of the coordinates: whatever computes the input can replace it.
    Mapped,
    /// At computed addresses: the input must be in memory.
    Addressed,
}

/// How an operator that is an expression computes its only output. It fuses with its neighbours on every device.
pub trait Expression {
    /// How it reads an input.
    fn access(&self, _input: usize) -> InputAccess {
        InputAccess::Mapped
    }

    /// The value at the output's coordinates.
    fn express(&self, expressing: &mut Expressing<'_>, inputs: &[&TensorType], output: &TensorType) -> NodeId;
}

/// An input that is read at computed addresses.
pub(crate) struct Addressed {
    /// Its number among the expression's inputs.
    pub(crate) number: usize,
    /// The type that it is stored in.
    pub(crate) stored: DType,
    /// From its coordinates to addresses.
    pub(crate) at: Affine,
    /// Elements of its memory.
    pub(crate) elements: usize,
}

/// What [`Expression::express`] works with: the inputs as functions of the output's coordinates, and a builder.
pub struct Expressing<'a> {
    pub(crate) builder: &'a mut Builder,
    pub(crate) dims: &'a [usize],
    /// The value of an input under maps from the output's coordinates to the input's.
    pub(crate) mapped: &'a mut dyn FnMut(&mut Builder, usize, &[Affine]) -> NodeId,
    /// An input in memory.
    pub(crate) addressed: &'a mut dyn FnMut(usize) -> Addressed,
    /// True where addresses are held within the input.
    pub(crate) is_guarded: bool,
}

impl Expressing<'_> {
    /// The builder of the expression.
    pub fn builder(&mut self) -> &mut Builder {
        self.builder
    }

    /// Extents of the output.
    pub fn dims(&self) -> &[usize] {
        self.dims
    }

    /// The input's element at the same coordinates as the output's.
    pub fn input(&mut self, input: usize) -> NodeId {
        let rank = self.dims.len();
        let maps: Vec<Affine> = (0..rank).map(|axis| Affine::coordinate(axis, rank)).collect();
        self.input_at(input, &maps)
    }

    /// The input's element at mapped coordinates: one map for each of the input's axes.
    pub fn input_at(&mut self, input: usize, maps: &[Affine]) -> NodeId {
        (self.mapped)(self.builder, input, maps)
    }

    /// An output coordinate as i32.
    pub fn coordinate(&mut self, axis: usize) -> NodeId {
        self.builder.index(Affine::coordinate(axis, self.dims.len()))
    }

    /// The map from an addressed input's coordinates to its addresses.
    pub fn addresses(&mut self, input: usize) -> Affine {
        (self.addressed)(input).at
    }

    /// The element of an addressed input at a computed address.
    pub fn gather(&mut self, input: usize, address: NodeId) -> NodeId {
        let Addressed { number, stored, elements, .. } = (self.addressed)(input);
        let address = match elements.checked_sub(1) {
            // An address of another type is told by the builder.
            _ if !self.is_guarded || self.builder.types.get(address.index()) != Some(&DType::I32) => address,
            Some(last) => {
                let (first, last) =
                    (self.builder.constant(DType::I32, 0.0), self.builder.constant(DType::I32, last as f64));
                let address = self.builder.call(ScalarFunction::Maximum, &[address, first]);
                self.builder.call(ScalarFunction::Minimum, &[address, last])
            }
            None => return self.builder.constant(stored, 0.0),
        };
        self.builder.gather(number, stored, address)
    }
}

/// The float type of bare numbers in an expression.
pub(crate) fn float_of(inputs: &[&TensorType], output: &TensorType) -> DType {
    let first = inputs.first().map_or(DType::F32, |ty| ty.dtype);
    [output.dtype, first].into_iter().find(|dtype| dtype.is_float()).unwrap_or(DType::F32)
}

/// An expression by itself, over inputs in memory; what another crate wrote is checked.
///
/// # Errors
/// What does not fit: an input that is not there, coordinates out of range, functions of other types, a result of another type.
pub(crate) fn expressed(
    definition: &dyn Expression,
    inputs: &[&TensorType],
    output: &TensorType,
) -> Result<ScalarExpr, String> {
    let dims = output.shape.to_vec();
    let problem: RefCell<Option<String>> = RefCell::default();
    let wrong = |found: String| {
        problem.borrow_mut().get_or_insert(found);
    };
    let mut builder = Builder::new(float_of(inputs, output));
    let mut mapped = |builder: &mut Builder, input: usize, maps: &[Affine]| match address(inputs, input, maps, &dims) {
        Ok((ty, at)) => builder.load(input, ty.dtype, at),
        Err(found) => {
            wrong(found);
            builder.number(0.0)
        }
    };
    let mut addressed = |input: usize| match inputs.get(input) {
        Some(ty) => {
            if definition.access(input) != InputAccess::Addressed {
                wrong(format!("input {input} is read at addresses, and its access is not `Addressed`"));
            }
            Addressed { number: input, stored: ty.dtype, at: Affine::row_major(&ty.shape), elements: ty.len() }
        }
        None => {
            wrong(missing(input, inputs));
            Addressed { number: input, stored: DType::F32, at: Affine::constant(0, 0), elements: 0 }
        }
    };
    let (mapped, addressed) = (&mut mapped, &mut addressed);
    let mut expressing = Expressing { builder: &mut builder, dims: &dims, mapped, addressed, is_guarded: true };
    let value = definition.express(&mut expressing, inputs, output);
    if let Some(problem) = problem.into_inner().or_else(|| builder.problem.take()) {
        return Err(problem);
    }
    match builder.types.get(value.index()) {
        None => Err("its expression returns a node of another builder".into()),
        Some(dtype) if *dtype != output.dtype.compute() => {
            Err(format!("its expression is {dtype}, and its output {}", output.dtype))
        }
        Some(_) => {
            let stored = inputs.iter().map(|ty| ty.dtype).collect();
            let value = rounded(&mut builder, value, output.dtype);
            Ok(builder.finish(dims, stored, vec![(value, output.dtype)]))
        }
    }
}

/// A value as it is in an output's type: 16-bit floats are rounded after every operator, so that fused and unfused programs agree.
pub(crate) fn rounded(builder: &mut Builder, value: NodeId, dtype: DType) -> NodeId {
    if dtype.is_float() && dtype.compute() != dtype {
        return builder.call(ScalarFunction::Cast(dtype), &[value]);
    }
    value
}

fn missing(input: usize, inputs: &[&TensorType]) -> String {
    format!("its expression reads input {input}, and there are {}", inputs.len())
}

/// The addresses of an input under maps from the output's coordinates to its own.
fn address<'a>(
    inputs: &[&'a TensorType],
    input: usize,
    maps: &[Affine],
    dims: &[usize],
) -> Result<(&'a TensorType, Affine), String> {
    let ty: &TensorType = inputs.get(input).ok_or_else(|| missing(input, inputs))?;
    let (own, rank) = (ty.shape.rank(), dims.len());
    if maps.len() != own || maps.iter().any(|map| map.strides.len() != rank) {
        return Err(format!("its expression reads input {input}, {ty}, with {} coordinates of {rank}", maps.len()));
    }
    let is_empty = dims.contains(&0);
    for (axis, (map, &extent)) in maps.iter().zip(ty.shape.iter()).enumerate() {
        let reach = |sign: i64| -> i64 {
            let steps = map.strides.iter().zip(dims).filter(|(stride, _)| **stride * sign > 0);
            steps.map(|(stride, &dim)| stride * (dim as i64 - 1)).sum()
        };
        let (low, high) = (map.offset + reach(-1), map.offset + reach(1));
        if !is_empty && (low < 0 || high >= extent as i64) {
            return Err(format!(
                "its expression reads coordinates {low} to {high} along axis {axis} of input {input}, {ty}"
            ));
        }
    }
    Ok((ty, Affine::row_major(&ty.shape).after(maps, rank)))
}

/// The values of an expression as nodes of a graph; nothing where `leaf` has none for a node that is no function of others.
#[track_caller]
pub(crate) fn as_nodes(expression: &ScalarExpr, leaf: &dyn Fn(&ScalarNode) -> Option<Tensor>) -> Option<Vec<Tensor>> {
    let mut tensors: Vec<Tensor> = Vec::with_capacity(expression.nodes.len());
    for node in &expression.nodes {
        let tensor = match node {
            ScalarNode::Call { function, arguments } => {
                let arguments: Option<Vec<&Tensor>> = arguments.iter().map(|id| tensors.get(id.index())).collect();
                let arguments = arguments?;
                let (first, others) = arguments.split_first()?;
                first.elementwise(*function, others)
            }
            ScalarNode::Constant(_)
            | ScalarNode::Index(_)
            | ScalarNode::Load { .. }
            | ScalarNode::Gather { .. }
            | ScalarNode::Accumulator(_) => leaf(node)?,
        };
        tensors.push(tensor);
    }
    expression.outputs.iter().map(|(id, _)| tensors.get(id.index()).cloned()).collect()
}

/// An expression as nodes of a graph; nothing where it reads its inputs elsewhere than at the output's coordinates.
pub(super) fn written_out(expression: &ScalarExpr, inputs: &[Tensor], output: &TensorType) -> Option<Tensor> {
    let graph = inputs.first()?.graph();
    let whole = Affine::row_major(&output.shape);
    let leaf = |node: &ScalarNode| match node {
        ScalarNode::Constant(constant) => {
            Some(graph.scalar(constant.dtype, constant.value).broadcast_to(&output.shape))
        }
        ScalarNode::Index(at) => {
            let start = graph.scalar(DType::I32, at.offset as f64).broadcast_to(&output.shape);
            let steps = at.strides.iter().enumerate().filter(|(_, stride)| **stride != 0);
            Some(steps.fold(start, |sum, (axis, &stride)| sum + graph.coordinate(&output.shape, axis) * stride as f64))
        }
        ScalarNode::Load { input, at } => {
            let tensor = inputs.get(*input)?;
            let same = *at == whole && tensor.shape() == output.shape;
            same.then(|| tensor.cast(tensor.dtype().compute()))
        }
        ScalarNode::Call { .. } | ScalarNode::Gather { .. } | ScalarNode::Accumulator(_) => None,
    };
    let values = as_nodes(expression, &leaf)?;
    let (value, &(_, dtype)) = values.first().zip(expression.outputs.first())?;
    Some(value.cast(dtype))
}
