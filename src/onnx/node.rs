//! What a handler sees of the node that it imports: inputs as tensors or, where they have to be known, as host values; the graphs
//! within it; and errors that name it. Attributes are in `attributes`.

use std::sync::Arc;

use super::check::describe;
use super::import::{Importer, Scope};
use super::proto::{AttributeProto, FunctionProto, GraphProto, NodeProto};
use super::tensor::{extents, int64, integers};
use super::value::Value;
use crate::error::{Error, Result};
use crate::graph::{Graph, Tensor};
use crate::tensor::{Shape, TensorData, TensorType};

/// A node while it is imported.
pub(super) struct Node<'a> {
    pub(super) importer: &'a Importer<'a>,
    pub(super) scope: &'a Scope<'a>,
    pub(super) proto: &'a NodeProto,
    inputs: Vec<Value>,
}

impl<'a> Node<'a> {
    pub(super) fn new(
        importer: &'a Importer<'a>,
        scope: &'a Scope<'a>,
        proto: &'a NodeProto,
        inputs: Vec<Value>,
    ) -> Self {
        Self { importer, scope, proto, inputs }
    }

    /// An error that names the node. The message says what was wrong and what was expected.
    pub(super) fn error(&self, message: impl AsRef<str>) -> Error {
        Error::Data(format!("{}: {}", describe(self.proto), message.as_ref()))
    }

    /// The engine's first mistake, if it made one with this node. To be asked before a handler relies on a result's shape:
    /// after a mistake, tensors are placeholders of rank 0.
    pub(super) fn check(&self) -> Result<()> {
        self.importer.check(&describe(self.proto)).map_err(Error::Data)
    }

    /// The version of the node's operator set.
    pub(super) fn opset(&self) -> i64 {
        self.scope.opset(&self.proto.domain)
    }

    /// The operator's name.
    pub(super) fn operator(&self) -> &'a str {
        &self.proto.op_type
    }

    /// The graph that is built.
    pub(super) fn graph(&self) -> &'a Graph {
        &self.importer.graph
    }

    /// Number of inputs, those too that are left out by an empty name.
    pub(super) fn input_count(&self) -> usize {
        self.inputs.len()
    }

    /// Number of outputs that the model names.
    pub(super) fn output_count(&self) -> usize {
        self.proto.output.len()
    }

    /// True where an output is asked for.
    pub(super) fn wants(&self, output: usize) -> bool {
        self.proto.output.get(output).is_some_and(|name| !name.is_empty())
    }

    /// An input of any kind; `Value::None` where it is left out.
    pub(super) fn value(&self, input: usize) -> &Value {
        self.inputs.get(input).unwrap_or(&Value::None)
    }

    /// True where an input is there.
    pub(super) fn has(&self, input: usize) -> bool {
        !matches!(self.value(input), Value::None)
    }

    fn of_input(&self, input: usize, message: impl AsRef<str>) -> Error {
        let name = self.proto.input.get(input).map_or("", String::as_str);
        self.error(format!("input {input} ({name:?}): {}", message.as_ref()))
    }

    /// An input as a tensor of the graph.
    pub(super) fn input(&self, input: usize) -> Result<Tensor> {
        self.importer.tensor(self.value(input)).map_err(|message| self.of_input(input, message))
    }

    /// An input that may be left out.
    pub(super) fn optional(&self, input: usize) -> Result<Option<Tensor>> {
        if self.has(input) { self.input(input).map(Some) } else { Ok(None) }
    }

    /// All inputs as tensors.
    pub(super) fn all_inputs(&self) -> Result<Vec<Tensor>> {
        (0..self.input_count()).map(|input| self.input(input)).collect()
    }

    /// Element type and shape of an input, which need not become part of the graph for that.
    pub(super) fn ty(&self, input: usize) -> Result<TensorType> {
        match self.value(input) {
            Value::Stored(stored) => Ok(stored.data.ty().clone()),
            _ => Ok(self.input(input)?.ty()),
        }
    }

    /// An input's value on the host.
    pub(super) fn host(&self, input: usize) -> Result<Arc<TensorData>> {
        self.importer.host(self.value(input)).map_err(|message| self.of_input(input, message))
    }

    /// True where an input follows from constants alone, so that its value is the same in every run.
    pub(super) fn is_constant(&self, input: usize) -> bool {
        self.importer.is_constant(self.value(input))
    }

    /// The integers in an input, row-major.
    pub(super) fn host_ints(&self, input: usize) -> Result<Vec<i64>> {
        integers(&*self.host(input)?).map_err(|message| self.of_input(input, message))
    }

    /// As [`host_ints`](Self::host_ints), of an input that may be left out.
    pub(super) fn optional_ints(&self, input: usize) -> Result<Option<Vec<i64>>> {
        if self.has(input) { self.host_ints(input).map(Some) } else { Ok(None) }
    }

    /// The values in an input, row-major.
    pub(super) fn host_floats(&self, input: usize) -> Result<Vec<f64>> {
        Ok(self.host(input)?.to_f64_vec())
    }

    /// The single integer in an input.
    pub(super) fn host_int(&self, input: usize) -> Result<i64> {
        match self.host_ints(input)?[..] {
            [value] => Ok(value),
            ref values => Err(self.of_input(input, format!("one number is expected, not {}", values.len()))),
        }
    }

    /// The scalar in an input.
    pub(super) fn host_float(&self, input: usize) -> Result<f64> {
        match self.host_floats(input)?[..] {
            [value] => Ok(value),
            ref values => Err(self.of_input(input, format!("one number is expected, not {}", values.len()))),
        }
    }

    /// A constant of the graph.
    pub(super) fn constant(&self, data: TensorData) -> Value {
        self.graph().constant(data).into()
    }

    /// A constant of int64.
    pub(super) fn ints_constant(&self, values: &[i64], shape: impl Into<Shape>) -> Result<Value> {
        Ok(self.constant(int64(values, shape).map_err(|message| self.error(message))?))
    }

    /// A shape from numbers in the model.
    pub(super) fn extents(&self, dims: &[i64]) -> Result<Shape> {
        extents(dims).map_err(|message| self.error(message))
    }

    /// Numbers from 0 on that make no shape: sizes of parts, widths, strides. Any count of them will do, and any product.
    pub(super) fn counts(&self, numbers: &[i64]) -> Result<Vec<usize>> {
        let count = |&number: &i64| i32::try_from(number).ok().and_then(|number| usize::try_from(number).ok());
        let counts = numbers.iter().map(count).collect::<Option<Vec<usize>>>();
        counts.ok_or_else(|| self.error(format!("the numbers {numbers:?} should be from 0 to 2³¹ − 1")))
    }

    /// The axis that a number names, where negative ones count from the end.
    pub(super) fn axis(&self, axis: i64, rank: usize) -> Result<usize> {
        let resolved = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
        let known = usize::try_from(resolved).ok().filter(|&axis| axis < rank);
        known.ok_or_else(|| self.error(format!("axis {axis} does not exist in {rank} dimensions")))
    }

    /// Several axes, each named once.
    pub(super) fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>> {
        let resolved = axes.iter().map(|&axis| self.axis(axis, rank)).collect::<Result<Vec<usize>>>()?;
        let mut sorted = resolved.clone();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(self.error(format!("axes {axes:?} name an axis twice")));
        }
        Ok(resolved)
    }

    /// Imports a graph within the node with these inputs, and returns its outputs. Each call builds its nodes anew.
    pub(super) fn run(&self, graph: &GraphProto, inputs: Vec<Value>) -> Result<Vec<Value>> {
        self.importer.subgraph(graph, inputs, self.scope)
    }

    /// Imports a function of the model instead of the node.
    pub(super) fn call(&self, function: &FunctionProto) -> Result<Vec<Value>> {
        if self.inputs.len() > function.input.len() {
            let (takes, found) = (function.input.len(), self.inputs.len());
            return Err(self.error(format!("the function takes {takes} inputs, but {found} are passed")));
        }
        let attributes: Vec<&AttributeProto> = self.attributes().collect();
        // A reference takes the name under which the body knows it.
        let renamed: Vec<AttributeProto> = self
            .references()
            .map(|(name, attribute)| AttributeProto { name: name.to_owned(), ..attribute.clone() })
            .collect();
        let all: Vec<&AttributeProto> = attributes.into_iter().chain(&renamed).collect();
        self.importer.call(function, self.inputs.clone(), &all, Importer::depth(self.scope))
    }
}
