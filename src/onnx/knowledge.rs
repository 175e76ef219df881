//! What is known of a graph's values before it runs. Shapes are static, so whatever steers one has to be known on the host
//! while the graph is built: constants, initializers, inputs whose value was set, and all that follows from them. A value that is
//! asked for is computed by the CPU device from the part of the graph above it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::device::Device;
use crate::error::{Error, Result};
use crate::graph::{Graph, Node, ValueId};
use crate::ops::{Initial, Op};
use crate::tensor::TensorData;

/// More elements than anything has that steers a shape.
const MOST_ELEMENTS: usize = 1 << 22;

/// How much is known of a node's results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Certainty {
    /// They follow from constants.
    Constant,
    /// They follow from constants, parameters as they are now, and inputs whose values were set.
    Fixed,
    /// They depend on this node, whose value is not known.
    Unknown(usize),
}

/// What is known of one graph.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    /// The values of inputs that were set.
    inputs: HashMap<String, Arc<TensorData>>,
    /// One for each node so far.
    certain: Vec<Certainty>,
    values: HashMap<ValueId, Arc<TensorData>>,
    /// The inputs on whose values the graph has been built.
    fixed: BTreeSet<String>,
}

impl Knowledge {
    pub(super) fn new(inputs: HashMap<String, Arc<TensorData>>) -> Self {
        Self { inputs, ..Self::default() }
    }

    /// The inputs on whose values the graph has been built.
    pub(super) fn fixed(&self) -> &BTreeSet<String> {
        &self.fixed
    }

    /// Catches up with nodes that were added to the graph.
    fn observe(&mut self, nodes: &[Node]) {
        for (index, node) in nodes.iter().enumerate().skip(self.certain.len()) {
            let certainty = match &node.op {
                Op::Constant(_) => Certainty::Constant,
                Op::Input(name, _) if self.inputs.contains_key(name) => Certainty::Fixed,
                Op::Variable(variable) if matches!(variable.initial, Initial::Values(_)) => Certainty::Fixed,
                Op::Input(..) | Op::Variable(_) | Op::Placeholder => Certainty::Unknown(index),
                _ => {
                    let inputs = node.inputs.iter().filter_map(|input| self.certain.get(input.node()));
                    inputs.copied().max().unwrap_or(Certainty::Constant)
                }
            };
            self.certain.push(certainty);
        }
    }

    /// True where the value follows from constants alone.
    pub(super) fn is_constant(&mut self, graph: &Graph, value: ValueId) -> bool {
        self.observe(&graph.data().nodes);
        self.certain.get(value.node()) == Some(&Certainty::Constant)
    }

    /// The value.
    ///
    /// # Errors
    /// The input whose value would have to be set; a value that is too large to be computed here.
    pub(super) fn value(&mut self, graph: &Graph, value: ValueId) -> Result<Arc<TensorData>> {
        if let Some(known) = self.values.get(&value) {
            return Ok(Arc::clone(known));
        }
        let (scratch, result) = self.part_above(graph, value)?;
        let known = match result {
            Some(data) => data,
            None => {
                let mut outputs = scratch.compile(&Device::cpu())?.run(&[])?;
                Arc::new(outputs.take(RESULT).ok_or_else(|| Error::Data("a value was not computed".into()))?)
            }
        };
        self.values.insert(value, Arc::clone(&known));
        Ok(known)
    }

    /// The data of a node that holds its own value.
    fn held(&self, node: &Node) -> Option<Arc<TensorData>> {
        match &node.op {
            Op::Constant(data) => Some(Arc::clone(data)),
            Op::Input(name, _) => self.inputs.get(name).map(Arc::clone),
            Op::Variable(variable) => match &variable.initial {
                Initial::Values(data) => Some(Arc::new(data.clone())),
                _ => None,
            },
            _ => None,
        }
    }

    /// A graph of the part that computes a value, with constants instead of what is known; or the value itself, where it
    /// has not to be computed.
    fn part_above(&mut self, graph: &Graph, value: ValueId) -> Result<(Graph, Option<Arc<TensorData>>)> {
        let data = graph.data();
        self.observe(&data.nodes);
        if let Some(Certainty::Unknown(source)) = self.certain.get(value.node()) {
            let what = match data.nodes.get(*source).map(|node| &node.op) {
                Some(Op::Input(name, _)) if !name.starts_with('@') => {
                    format!("it depends on input {name:?}, whose value must be given to the import (Import::value)")
                }
                Some(Op::Input(..)) => "it depends on random numbers".to_owned(),
                _ => "it depends on a value that the host does not know".to_owned(),
            };
            return Err(Error::Data(format!("a value that steers shapes must be known on the host: {what}")));
        }
        let scratch = Graph::new();
        // Nodes come after their inputs: from the last to the first, all that is needed is known when it is met.
        let mut needed: BTreeSet<usize> = BTreeSet::from([value.node()]);
        let mut chosen: BTreeMap<usize, Node> = BTreeMap::new();
        while let Some(index) = needed.pop_last() {
            let Some(node) = data.nodes.get(index) else { continue };
            if let Op::Input(name, _) = &node.op {
                self.fixed.insert(name.clone());
            }
            let known = match &*node.outputs {
                [_] => self.values.get(&ValueId { node: index as u32, output: 0 }).map(Arc::clone),
                _ => None,
            };
            if let Some(held) = known.or_else(|| self.held(node)) {
                if index == value.node() {
                    return Ok((scratch, Some(held)));
                }
                chosen.insert(index, Node { op: Op::Constant(held), inputs: Vec::new(), ..node.clone() });
                continue;
            }
            if let Some(large) = node.outputs.iter().find(|ty| ty.len() > MOST_ELEMENTS) {
                return Err(Error::Data(format!("a value that steers shapes depends on {large}, which is too large")));
            }
            needed.extend(node.inputs.iter().map(|input| input.node()));
            chosen.insert(index, node.clone());
        }
        let mut numbers: HashMap<usize, u32> = HashMap::new();
        let mut part = scratch.data();
        for (index, mut node) in chosen {
            for input in &mut node.inputs {
                let number = numbers.get(&input.node()).copied();
                input.node = number.ok_or_else(|| Error::Data("a graph is out of order".into()))?;
            }
            numbers.insert(index, part.nodes.len() as u32);
            part.nodes.push(node);
        }
        let number = numbers.get(&value.node()).copied().unwrap_or_default();
        part.outputs.push((RESULT.to_owned(), ValueId { node: number, output: value.output }));
        drop(part);
        Ok((scratch, None))
    }
}

/// The name of what such a part computes.
const RESULT: &str = "value";
