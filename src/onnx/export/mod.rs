//! Graphs of the engine as ONNX models for inference: what an output needs, with variables as initializers under their own names.

mod elementwise;
mod operators;
mod recurrence;
mod sequential;
mod window;
mod writer;

use std::collections::HashSet;
use std::path::Path;

use prost::Message;

use super::proto::{
    DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TensorTypeProto,
    TypeProto, ValueInfoProto,
};
use crate::compiler::VariablePlan;
use crate::compiler::custom::without;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::file;
use crate::graph::{Graph, GraphData, ValueId};
use crate::ops::{Initial, Op, Variable};
use crate::session::Session;
use crate::tensor::{TensorData, TensorType};
use writer::{Writer, encode, number};

/// The operator set that models are written for, and the file format's version that came with it.
const OPSET: i64 = 18;
const FORMAT: i64 = 8;

/// What protobuf messages may take.
const LARGEST: usize = i32::MAX as usize;

/// A graph that becomes an ONNX model.
///
/// ```
/// use wgrad::onnx::{Export, Import, Model};
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let x = g.input("x", [4, 3], F32);
/// g.output("y", &nn::Linear::new(&g, "fc", 3, 2).forward(&x).relu());
/// let mut session = g.compile(&Device::cpu())?;
/// let bytes = Export::new(&g).values_of(&session).to_bytes()?;
///
/// let again = Model::parse(&bytes, None)?.import(&Import::new())?;
/// let input = TensorData::from_vec((0..12).map(|k| k as f32).collect(), [4, 3])?;
/// let found = again.graph.compile(&Device::cpu())?.run(&[("x", &input)])?;
/// assert_eq!(found["y"], session.run(&[("x", &input)])?["y"]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is written before `save`"]
pub struct Export<'a> {
    graph: &'a Graph,
    session: Option<&'a Session>,
    outputs: Option<Vec<String>>,
}

impl<'a> Export<'a> {
    /// All outputs of a graph, with its variables' first values.
    pub const fn new(graph: &'a Graph) -> Self {
        Self { graph, session: None, outputs: None }
    }

    /// With the values that the variables have now in a session.
    pub const fn values_of(mut self, session: &'a Session) -> Self {
        self.session = Some(session);
        self
    }

    /// Only these outputs. Of a graph that trains, the prediction alone is of use, and gradients are not exported.
    pub fn outputs<'b>(mut self, names: impl IntoIterator<Item = &'b str>) -> Self {
        self.outputs = Some(names.into_iter().map(str::to_owned).collect());
        self
    }

    /// The model as a message.
    ///
    /// Shapes are those of the graph. Constants are nodes of their own, so that what is trained later are the variables alone.
    ///
    /// # Errors
    /// The graph's first mistake; an output that is not there; an operator that ONNX does not have, with the line that built it: random
    /// numbers, gradients, operators of one's own without a decomposition; a device that fails.
    pub fn to_proto(&self) -> Result<ModelProto> {
        let data = self.with_forms(self.graph.snapshot()?)?;
        let outputs = self.chosen(&data)?;
        let read = read(&data, outputs.iter().map(|&(_, value)| value));
        let needed = |node: usize| read.contains(&ValueId { node: node as u32, output: 0 });
        let mut writer = Writer::new(&data, &read);
        let mut inputs: Vec<ValueInfoProto> = Vec::new();
        let mut variables = Vec::new();
        for (index, node) in data.nodes.iter().enumerate() {
            let name = match &node.op {
                Op::Input(name, ty) if needed(index) => {
                    if name.starts_with('@') {
                        let message = "random numbers and numbers of the training step are not exported";
                        return Err(Error::graph("export", message, node.origin));
                    }
                    inputs.push(declared(name, ty));
                    name.clone()
                }
                // What is fed stays an input, also where nothing needs it.
                Op::Input(name, ty) if self.outputs.is_none() && !name.starts_with('@') => {
                    inputs.push(declared(name, ty));
                    name.clone()
                }
                Op::Variable(variable) if needed(index) => {
                    variables.push(variable.clone());
                    variable.name.clone()
                }
                _ => continue,
            };
            writer.taken.insert(name.clone());
            writer.names.insert(ValueId { node: index as u32, output: 0 }, name);
        }
        writer.taken.extend(outputs.iter().map(|(name, _)| (*name).to_owned()));
        for (index, node) in data.nodes.iter().enumerate() {
            let any =
                (0..node.outputs.len() as u32).any(|output| read.contains(&ValueId { node: index as u32, output }));
            if !any || matches!(node.op, Op::Input(..) | Op::Variable(_)) {
                continue;
            }
            writer.stem = format!("{}_{index}", node.op.operator().name().replace([' ', ','], "_"));
            let names = writer.operator(index, node)?;
            let ids = (0..).map(|output| ValueId { node: index as u32, output });
            writer.names.extend(ids.zip(names).filter(|(_, name)| !name.is_empty()));
        }
        for (name, value) in &outputs {
            give(&mut writer, name, *value)?;
        }
        let outputs: Vec<ValueInfoProto> =
            outputs.iter().map(|&(name, value)| declared(name, data.ty(value))).collect();
        let mut nodes = writer.nodes;
        prune(&mut nodes, outputs.iter().map(|output| &output.name));
        let used: HashSet<&str> = nodes.iter().flat_map(|node| node.input.iter().map(String::as_str)).collect();
        let mut initializer = Vec::new();
        for variable in variables {
            let is_used = used.contains(&*variable.name) || outputs.iter().any(|output| output.name == variable.name);
            if is_used {
                initializer.push(encode(&variable.name, &self.value(&variable)?));
            }
        }
        initializer.extend(writer.initializers.into_iter().filter(|list| used.contains(&*list.name)));
        let graph = GraphProto {
            name: "graph".into(),
            node: nodes,
            input: inputs,
            output: outputs,
            initializer,
            ..GraphProto::default()
        };
        Ok(ModelProto {
            ir_version: FORMAT,
            producer_name: "wgrad".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(graph),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
            ..ModelProto::default()
        })
    }

    /// The model as the bytes of a file.
    ///
    /// # Errors
    /// As for [`to_proto`](Self::to_proto), and where it is larger than the 2 GiB that a file may have.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let model = self.to_proto()?;
        match model.encoded_len() {
            size if size > LARGEST => {
                Err(Error::Data(format!("the model takes {size} bytes; an ONNX file may have {LARGEST}")))
            }
            _ => Ok(model.encode_to_vec()),
        }
    }

    /// Writes the model. A file that is there is replaced as a whole or not at all.
    ///
    /// # Errors
    /// As for [`to_bytes`](Self::to_bytes), and a file that cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        file::write(path, &self.to_bytes()?)
    }

    fn chosen<'b>(&'b self, data: &'b GraphData) -> Result<Vec<(&'b str, ValueId)>> {
        let all = data.outputs.iter().map(|(name, value)| (name.as_str(), *value));
        let Some(wanted) = &self.outputs else {
            let all: Vec<(&str, ValueId)> = all.collect();
            return if all.is_empty() {
                Err(Error::Argument("the graph has no outputs to export".into()))
            } else {
                Ok(all)
            };
        };
        let find = |name: &'b String| {
            all.clone().find(|(known, _)| known == name).ok_or_else(|| {
                let names: Vec<&str> = all.clone().map(|(name, _)| name).collect();
                Error::Argument(format!("there is no output {name:?}; there are {names:?}"))
            })
        };
        wanted.iter().map(find).collect()
    }

    /// The graph with the decompositions of operators that the chosen outputs need and ONNX has not.
    fn with_forms(&self, mut data: GraphData) -> Result<GraphData> {
        let has_no_form = |op: &Op| matches!(op, Op::Custom(_) | Op::SearchSorted(_) | Op::Attention(_));
        if !data.nodes.iter().any(|node| has_no_form(&node.op)) {
            return Ok(data);
        }
        let chosen = self.chosen(&data)?.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        data.outputs = chosen;
        data.assignments.clear();
        without(data, "it has no form in ONNX", has_no_form)
    }

    /// A variable's value: the session's, where it has one.
    fn value(&self, variable: &Variable) -> Result<TensorData> {
        if let Some(session) = self.session
            && session.variables().iter().any(|known: &VariablePlan| known.name == variable.name)
        {
            return session.parameter(&variable.name);
        }
        if let Initial::Values(data) = &variable.initial {
            return Ok(data.clone());
        }
        let alone = Graph::new();
        alone.output("value", &alone.variable(variable.clone()));
        Session::new(&alone, &Device::cpu(), 0)?.parameter(&variable.name)
    }
}

fn declared(name: &str, ty: &TensorType) -> ValueInfoProto {
    let dim = |&extent: &usize| DimensionProto { dim_value: Some(extent as i64), dim_param: None };
    let shape = Some(TensorShapeProto { dim: ty.shape.iter().map(dim).collect() });
    let tensor_type = Some(TensorTypeProto { elem_type: number(ty.dtype), shape });
    let r#type = Some(TypeProto { tensor_type, ..TypeProto::default() });
    ValueInfoProto { name: name.into(), r#type, ..ValueInfoProto::default() }
}

/// All values that are read to compute some.
fn read(data: &GraphData, values: impl Iterator<Item = ValueId>) -> HashSet<ValueId> {
    let mut read: HashSet<ValueId> = HashSet::new();
    let mut pending: Vec<ValueId> = values.collect();
    let mut visited: HashSet<usize> = HashSet::new();
    while let Some(value) = pending.pop() {
        if read.insert(value) && visited.insert(value.node()) {
            pending.extend(data.nodes.get(value.node()).into_iter().flat_map(|node| &node.inputs).copied());
        }
    }
    read
}

/// Lets a value have the name of an output: its own is changed, unless others know it by that.
fn give(writer: &mut Writer<'_>, name: &str, value: ValueId) -> Result<()> {
    let own = writer.name(value)?;
    if own == name {
        return Ok(());
    }
    let source = writer.source(value).map(|node| &node.op);
    let fixed = matches!(source, Some(Op::Input(..) | Op::Variable(_)))
        || !writer.nodes.iter().any(|node| node.output.contains(&own))
        || writer.data.outputs.iter().any(|(other, _)| *other == own)
        || writer.initializers.iter().any(|initializer| initializer.name == own);
    let clash = writer.data.names.contains_key(name);
    if clash {
        return Err(Error::Argument(format!(
            "output {name:?} has the name of an input or variable, which ONNX cannot tell apart"
        )));
    }
    if fixed {
        writer.nodes.push(NodeProto {
            op_type: "Identity".into(),
            name: format!("Identity_{name}"),
            input: vec![own],
            output: vec![name.to_owned()],
            ..NodeProto::default()
        });
        return Ok(());
    }
    let names = writer.nodes.iter_mut().flat_map(|node| node.input.iter_mut().chain(&mut node.output));
    names.filter(|known| **known == own).for_each(|known| *known = name.to_owned());
    writer.names.values_mut().filter(|known| **known == own).for_each(|known| *known = name.to_owned());
    Ok(())
}

/// Drops nodes that nothing reads.
fn prune<'a>(nodes: &mut Vec<NodeProto>, outputs: impl Iterator<Item = &'a String>) {
    let mut used: HashSet<String> = outputs.cloned().collect();
    let mut retained: Vec<NodeProto> = Vec::with_capacity(nodes.len());
    while let Some(node) = nodes.pop() {
        if node.output.iter().any(|name| used.contains(name)) {
            used.extend(node.input.iter().filter(|name| !name.is_empty()).cloned());
            retained.push(node);
        }
    }
    retained.reverse();
    *nodes = retained;
}
