//! Elements picked by indices: one index an element ([`Gather`]), or one a whole slice ([`Take`], as embeddings do).
//!
//! Indices are i32. The engine clamps them to the axis, so that a wrong one reads a wrong element but never
//! other memory; what feeds user data checks its range on the host.

use super::Op;
use crate::graph::{Expressing, Expression, Gradient, InputAccess, Kind, Operator, Tensor};
use crate::scalar::{Affine, Builder, NodeId, ScalarFunction};
use crate::tensor::{DType, Shape, TensorType};

/// PyTorch's `gather`: the output has the index's shape; its coordinates are the input's but for the axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Gather {
    /// The axis that the index refers to.
    pub axis: usize,
}

/// NumPy's `take`: the axis is replaced by the index's axes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Take {
    /// The axis that the index refers to.
    pub axis: usize,
}

/// The address `rest + stride · index`, with the index clamped to the axis.
fn address(b: &mut Builder, index: NodeId, extent: usize, stride: i64, rest: NodeId) -> NodeId {
    let (zero, last) = (b.constant(DType::I32, 0.0), b.constant(DType::I32, extent as f64 - 1.0));
    let index = b.call(ScalarFunction::Maximum, &[index, zero]);
    let index = b.call(ScalarFunction::Minimum, &[index, last]);
    let stride = b.constant(DType::I32, stride as f64);
    let offset = b.call(ScalarFunction::Mul, &[index, stride]);
    b.call(ScalarFunction::Add, &[rest, offset])
}

fn check_index(axis: usize, inputs: &[&TensorType]) -> Result<(), String> {
    if axis >= inputs[0].shape.rank() {
        return Err(format!("axis {axis} does not exist in shape {}", inputs[0].shape));
    }
    if inputs[1].dtype != DType::I32 {
        return Err(format!("wants i32 or i64 indices, not {}", inputs[1].dtype));
    }
    if inputs[0].shape[axis] == 0 && !inputs[1].is_empty() {
        return Err(format!("axis {axis} of shape {} has nothing to pick", inputs[0].shape));
    }
    Ok(())
}

impl Operator for Gather {
    fn name(&self) -> String {
        "gather".into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        check_index(self.axis, inputs)?;
        let (shape, index) = (&inputs[0].shape, &inputs[1].shape);
        let fits = shape.rank() == index.rank()
            && (0..shape.rank()).all(|axis| axis == self.axis || index[axis] <= shape[axis]);
        if !fits {
            return Err(format!("indices of shape {index} do not fit shape {shape} beside axis {}", self.axis));
        }
        Ok(vec![TensorType::new(inputs[0].dtype, index)])
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Expression(self)
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let upstream = gradient.upstream[0].as_ref()?;
        let base = gradient.inputs[0].zeros_like();
        Some(vec![Some(base.scatter_add(self.axis as isize, &gradient.inputs[1], upstream)), None])
    }
}

impl Expression for Gather {
    fn access(&self, input: usize) -> InputAccess {
        if input == 0 { InputAccess::Addressed } else { InputAccess::Mapped }
    }

    fn express(&self, expressing: &mut Expressing<'_>, inputs: &[&TensorType], _: &TensorType) -> NodeId {
        let index = expressing.input(1);
        let mut source = expressing.addresses(0);
        let stride = std::mem::take(&mut source.strides[self.axis]);
        let b = expressing.builder();
        let rest = b.index(source);
        let address = address(b, index, inputs[0].shape[self.axis], stride, rest);
        expressing.gather(0, address)
    }
}

impl Operator for Take {
    fn name(&self) -> String {
        "take".into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        check_index(self.axis, inputs)?;
        let shape = &inputs[0].shape;
        let dims = shape[..self.axis].iter().chain(inputs[1].shape.iter()).chain(&shape[self.axis + 1..]).copied();
        Ok(vec![TensorType::new(inputs[0].dtype, dims.collect::<Shape>())])
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Expression(self)
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let upstream = gradient.upstream[0].as_ref()?;
        let (shape, picks) = (gradient.inputs[0].shape(), gradient.inputs[1].shape());
        // Index axes become one.
        let count = picks.len();
        let slices: Shape = (0..shape.rank()).map(|k| if k == self.axis { count } else { shape[k] }).collect();
        let base = upstream.graph().scalar(upstream.dtype(), 0.0).broadcast_to(shape);
        let index = gradient.inputs[1].reshape([count]);
        Some(vec![Some(base.index_add(self.axis as isize, &index, &upstream.reshape(slices))), None])
    }
}

impl Expression for Take {
    fn access(&self, input: usize) -> InputAccess {
        if input == 0 { InputAccess::Addressed } else { InputAccess::Mapped }
    }

    fn express(&self, expressing: &mut Expressing<'_>, inputs: &[&TensorType], output: &TensorType) -> NodeId {
        let (rank, picks) = (output.shape.rank(), inputs[1].shape.rank());
        let maps: Vec<Affine> = (0..picks).map(|axis| Affine::coordinate(self.axis + axis, rank)).collect();
        let index = expressing.input_at(1, &maps);
        let source = expressing.addresses(0);
        let mut rest = Affine::constant(source.offset, rank);
        rest.strides[..self.axis].copy_from_slice(&source.strides[..self.axis]);
        rest.strides[self.axis + picks..].copy_from_slice(&source.strides[self.axis + 1..]);
        let b = expressing.builder();
        let rest = b.index(rest);
        let address = address(b, index, inputs[0].shape[self.axis], source.strides[self.axis], rest);
        expressing.gather(0, address)
    }
}

impl Tensor {
    /// Indices as the engine addresses with them: i32. Those of 64 bits that are beyond it saturate, so that they stay
    /// out of range.
    #[track_caller]
    pub(crate) fn i32_indices(&self) -> Self {
        if self.dtype() != DType::I64 {
            return self.clone();
        }
        self.clamp(f64::from(i32::MIN), f64::from(i32::MAX)).cast(DType::I32)
    }

    /// PyTorch's `gather`: element `[i, j, k]` is `self[i, index[i, j, k], k]` for axis 1. Indices are i32 or i64; one that is out of range
    /// is clamped to the axis, and [`wrap_indices`](Self::wrap_indices) lets negative ones count from the end.
    #[track_caller]
    #[must_use]
    pub fn gather(&self, axis: isize, index: &Self) -> Self {
        let Some(axis) = self.resolve_axis("gather", axis) else { return self.clone() };
        self.graph().apply1(Op::Gather(Gather { axis }), &[self, &index.i32_indices()])
    }

    /// NumPy's `take`: slices along an axis by integer indices (i32 or i64) of any shape, whose axes replace the axis.
    /// With axis 0 on a table of shape `[words, width]` this is an embedding. Indices are clamped as by [`gather`](Self::gather).
    #[track_caller]
    #[must_use]
    pub fn take(&self, axis: isize, index: &Self) -> Self {
        let Some(axis) = self.resolve_axis("take", axis) else { return self.clone() };
        self.graph().apply1(Op::Take(Take { axis }), &[self, &index.i32_indices()])
    }

    /// PyTorch's `index_select`: [`take`](Self::take) with a one-dimensional index.
    #[track_caller]
    #[must_use]
    pub fn index_select(&self, axis: isize, index: &Self) -> Self {
        if index.rank() != 1 {
            return self
                .graph()
                .mistake("index_select", format!("wants indices of one dimension, not {}", index.shape()));
        }
        self.take(axis, index)
    }
}
