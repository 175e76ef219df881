//! The graph. Nodes are operators on values; [`Tensor`] is the handle with which users build it.
//!
//! Building never fails on the spot. The first mistake is stored with the user's file and line, everything that depends on it
//! becomes a placeholder, and [`compile`](Graph::compile) returns the mistake. `graph` and [`ops`](crate::ops) import each other, because
//! gradient rules build graph.

mod custom;
mod differentiate;
mod expression;
mod host;
mod operator;
mod origin;
mod rounding;
mod routine;
mod tensor;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::{FxHashMap, FxHashSet};

pub use custom::CustomOperator;
pub(crate) use custom::wrong_decomposition;
pub(crate) use expression::{Addressed, as_nodes, expressed, float_of, rounded};
pub use expression::{Expressing, Expression, InputAccess};
pub(crate) use host::{HostScalars, OptimizerId, OptimizerPlan};
pub use host::{StepState, UpdateState};
pub use operator::{Gradient, Kind, Operator, RoutineCost};
pub use origin::LayerScope;
pub use routine::{CpuRoutine, GpuRoutine, Routine, elements, elements_mut};
pub use tensor::{IntoTensor, Tensor};

use crate::error::{Error, Origin, Result};
use crate::ops::{Initial, Op, Role, Variable};
use crate::tensor::{DType, Shape, TensorData, TensorType};

/// One output of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId {
    /// The node's index in the graph.
    pub node: u32,
    /// Which of its outputs.
    pub output: u32,
}

impl ValueId {
    pub(crate) fn node(self) -> usize {
        self.node as usize
    }
}

impl fmt::Display for ValueId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "%{}", self.node)?;
        if self.output > 0 {
            write!(formatter, ".{}", self.output)?;
        }
        Ok(())
    }
}

/// An operator applied to values.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is done.
    pub op: Op,
    /// To what.
    pub inputs: Vec<ValueId>,
    /// Types of the results.
    pub outputs: Vec<TensorType>,
    /// The user's line that built it.
    pub origin: Origin,
}

/// What a graph consists of, as plain data. The compiler works on a copy of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct GraphData {
    pub(crate) nodes: Vec<Node>,
    pub(crate) outputs: Vec<(String, ValueId)>,
    /// Variables and the values that they take at the end of a step.
    pub(crate) assignments: Vec<(ValueId, ValueId)>,
    pub(crate) error: Option<Error>,
    pub(crate) names: FxHashMap<String, ValueId>,
    /// Number of random draws so far: each gets a stream of its own.
    pub(crate) random_draws: u32,
    /// Where new nodes come from while no user's line builds them: in gradient rules, the origin of the node that is
    /// differentiated.
    pub(crate) origin: Option<Origin>,
    /// The line of the user that the graph is built for by wgrad itself, as by a trainer.
    pub(crate) user: Option<Origin>,
    /// The layer that new nodes belong to, where their origin names none.
    pub(crate) layer: Option<&'static str>,
    /// The type in which layers multiply; `None` for their parameters' own.
    pub(crate) product_dtype: Option<DType>,
    /// Casts to and from 16 bits that layers made, and the gradients of such.
    pub(crate) rounded: FxHashSet<u32>,
    /// Scalar inputs that the session computes itself before each step, and the optimizers that some of them belong to.
    pub(crate) host_scalars: HostScalars,
}

impl GraphData {
    pub(crate) fn ty(&self, value: ValueId) -> &TensorType {
        &self.nodes[value.node()].outputs[value.output as usize]
    }
}

/// A graph of tensors under construction. Cloning makes another handle to the same graph.
///
/// ```
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let x = g.input("x", [2, 3], F32);
/// let y = (&x * 2.0).relu().sum_all();
/// g.output("y", &y);
/// let mut session = g.compile(&Device::cpu())?;
/// let x = TensorData::from_vec(vec![1.0_f32, -1.0, 2.0, 0.0, 0.5, -3.0], [2, 3])?;
/// assert_eq!(session.run(&[("x", &x)])?["y"].item()?, 7.0);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Graph(Arc<Mutex<GraphData>>);

impl fmt::Debug for Graph {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Graph of {} nodes", self.data().nodes.len())
    }
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn data(&self) -> MutexGuard<'_, GraphData> {
        // A panic in another thread while it held the lock leaves complete nodes behind, never partial ones.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A graph of its data, for passes that add nodes.
    pub(crate) fn of(data: GraphData) -> Self {
        Self(Arc::new(Mutex::new(data)))
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// A copy of the graph as data, or its first mistake.
    ///
    /// # Errors
    /// The first mistake made while building.
    pub(crate) fn snapshot(&self) -> Result<GraphData> {
        let data = self.data();
        match &data.error {
            Some(error) => Err(error.clone()),
            None => Ok(data.clone()),
        }
    }

    /// The first mistake made while building, if there is one.
    pub fn error(&self) -> Option<Error> {
        self.data().error.clone()
    }

    /// Stores a mistake, unless there is an earlier one, and returns a placeholder for what could not be built: `compile` returns it
    /// as an error with the user's line. For functions, losses and layers of your own; `operator` is their name.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// fn halves(x: &Tensor) -> Tensor {
    ///     match x.shape().last() {
    ///         Some(width) if width % 2 == 0 => x.slice(-1, 0, width / 2),
    ///         _ => x.graph().mistake("halves", format!("wants an even last axis, not {}", x.shape())),
    ///     }
    /// }
    /// let g = Graph::new();
    /// let _ = halves(&g.input("x", [2, 3], F32));
    /// assert!(g.error().unwrap().to_string().starts_with("halves: wants an even last axis, not [2, 3]"));
    /// ```
    #[track_caller]
    pub fn mistake(&self, operator: &str, message: impl Into<String>) -> Tensor {
        let origin = self.origin_now();
        let mut data = self.data();
        if data.error.is_none() {
            data.error = Some(Error::graph(operator, message, origin));
        }
        drop(data);
        self.placeholder(origin)
    }

    fn placeholder(&self, origin: Origin) -> Tensor {
        let node =
            Node { op: Op::Placeholder, inputs: Vec::new(), outputs: vec![TensorType::new(DType::F32, [])], origin };
        self.push(node).swap_remove(0)
    }

    fn push(&self, node: Node) -> Vec<Tensor> {
        let mut data = self.data();
        let index = data.nodes.len() as u32;
        let count = node.outputs.len() as u32;
        data.nodes.push(node);
        drop(data);
        (0..count).map(|output| Tensor::new(self.clone(), ValueId { node: index, output })).collect()
    }

    /// Applies an operator; a mistake returns placeholders.
    #[track_caller]
    pub(crate) fn apply(&self, op: Op, inputs: &[&Tensor]) -> Vec<Tensor> {
        let origin = self.origin_now().or_layer(self.data().layer);
        let count = op.operator().output_count();
        if let Some(stranger) = inputs.iter().find(|tensor| !tensor.graph().is_same(self)) {
            let message = format!("its input {} belongs to another graph", stranger.id());
            return vec![self.mistake(&op.operator().name(), message); count];
        }
        let ids: Vec<ValueId> = inputs.iter().map(|tensor| tensor.id()).collect();
        let types = {
            let data = self.data();
            if ids.iter().any(|id| matches!(data.nodes[id.node()].op, Op::Placeholder)) {
                None
            } else {
                Some(ids.iter().map(|&id| data.ty(id).clone()).collect::<Vec<TensorType>>())
            }
        };
        // Not under the graph's lock: an operator of another crate may hold tensors.
        let inferred = types.map(|types| {
            let types: Vec<&TensorType> = types.iter().collect();
            let outputs = op.operator().infer(&types);
            match &op {
                Op::Custom(operator) => outputs.and_then(|found| custom::inferred(operator.as_ref(), &types, found)),
                _ => outputs,
            }
        });
        match inferred {
            None => vec![self.placeholder(origin); count],
            Some(Err(message)) => vec![self.mistake(&op.operator().name(), message); count],
            Some(Ok(outputs)) if !outputs.iter().all(|ty| ty.shape.is_addressable()) => {
                let types: Vec<String> = outputs.iter().map(ToString::to_string).collect();
                let message = format!("{} has more elements than the 2³¹ − 1 that wgrad can address", types.join(", "));
                vec![self.mistake(&op.operator().name(), message); count]
            }
            Some(Ok(outputs)) => self.push(Node { op, inputs: ids, outputs, origin }),
        }
    }

    /// Applies an operator with one output.
    #[track_caller]
    pub(crate) fn apply1(&self, op: Op, inputs: &[&Tensor]) -> Tensor {
        self.apply(op, inputs).swap_remove(0)
    }

    #[track_caller]
    fn named(&self, name: &str, op: Op, kind: &str) -> Tensor {
        if name.is_empty() {
            return self.mistake(kind, "the name is empty");
        }
        if self.data().names.contains_key(name) {
            return self.mistake(kind, format!("the name {name:?} is used already"));
        }
        let tensor = self.apply1(op, &[]);
        self.data().names.insert(name.to_owned(), tensor.id());
        tensor
    }

    /// A value that the host passes at each step, by this name, which no other input or variable has.
    #[track_caller]
    pub fn input(&self, name: &str, shape: impl Into<Shape>, dtype: DType) -> Tensor {
        self.named(name, Op::Input(name.to_owned(), TensorType::new(dtype, shape)), "input")
    }

    /// A value that lives on the device from step to step: a parameter, an optimizer's state, a data set.
    /// Asking twice for the same name returns the same tensor, if type and role agree; the first value is that of the first call.
    #[track_caller]
    pub fn variable(&self, variable: Variable) -> Tensor {
        let known = self.data().names.get(&variable.name).copied();
        if let Some(id) = known {
            let same = matches!(&self.data().nodes[id.node()].op, Op::Variable(other) if other.ty == variable.ty && other.role == variable.role);
            if same {
                return Tensor::new(self.clone(), id);
            }
            return self
                .mistake("variable", format!("the name {:?} is used already, for something else", variable.name));
        }
        let name = variable.name.clone();
        self.named(&name, Op::Variable(Arc::new(variable)), "variable")
    }

    /// Gives a variable another first value. What is no variable stays as it is.
    pub(crate) fn set_initial(&self, variable: &Tensor, initial: Initial) {
        if let Some(Node { op: Op::Variable(known), .. }) = self.data().nodes.get_mut(variable.id().node()) {
            *known = Arc::new(Variable { initial, ..Variable::clone(known) });
        }
    }

    /// A constant with these values. Of one number everywhere, [`full`](Self::full) takes no memory.
    #[track_caller]
    pub fn constant(&self, data: TensorData) -> Tensor {
        self.apply1(Op::Constant(Arc::new(data)), &[])
    }

    /// A single number of a type, of shape `[]`. A number that the type cannot hold is a mistake.
    #[track_caller]
    pub fn scalar(&self, dtype: DType, value: f64) -> Tensor {
        if !dtype.holds(value) {
            return self.mistake(
                "constant",
                format!("{value} is no {dtype}; cast the tensor that it meets, or change the number"),
            );
        }
        match TensorData::from_f64(dtype, &[value], []) {
            Ok(data) => self.constant(data),
            Err(error) => self.mistake("constant", error.to_string()),
        }
    }

    /// Makes a value an output of the program, by a name that no other output has: [`Session::run`](crate::session::Session::run) returns
    /// it, [`Session::read`](crate::session::Session::read) reads it after a step.
    #[track_caller]
    pub fn output(&self, name: &str, tensor: &Tensor) {
        if !tensor.graph().is_same(self) {
            self.mistake("output", format!("{name:?} belongs to another graph"));
            return;
        }
        if name.is_empty() {
            self.mistake("output", "the name is empty");
            return;
        }
        if self.data().outputs.iter().any(|(other, _)| other == name) {
            self.mistake("output", format!("the name {name:?} is used already"));
            return;
        }
        self.data().outputs.push((name.to_owned(), tensor.id()));
    }

    /// The value that is returned by this name, if there is one.
    pub(crate) fn output_named(&self, name: &str) -> Option<ValueId> {
        self.data().outputs.iter().find(|(known, _)| known == name).map(|&(_, value)| value)
    }

    /// At the end of each step, the variable takes this value, which has its element type and shape. All assignments see the values from
    /// before the step; a variable is assigned once in a graph.
    #[track_caller]
    pub fn assign(&self, variable: &Tensor, value: &Tensor) {
        if !variable.graph().is_same(self) || !value.graph().is_same(self) {
            self.mistake("assign", "the variable or the value belongs to another graph");
            return;
        }
        let problem = {
            let data = self.data();
            let (id, new) = (variable.id(), value.id());
            if matches!(data.nodes[id.node()].op, Op::Placeholder)
                || matches!(data.nodes[new.node()].op, Op::Placeholder)
            {
                return;
            }
            if !matches!(data.nodes[id.node()].op, Op::Variable(_)) {
                Some("only a variable can be assigned to".to_owned())
            } else if data.ty(id) != data.ty(new) {
                Some(format!("the variable is {}, the value {}", data.ty(id), data.ty(new)))
            } else if data.assignments.iter().any(|&(other, _)| other == id) {
                Some("the variable is assigned twice".to_owned())
            } else {
                None
            }
        };
        match problem {
            Some(message) => {
                self.mistake("assign", message);
            }
            None => self.data().assignments.push((variable.id(), value.id())),
        }
    }

    /// Lets the buffers that are assigned so far, as running statistics, take their values only where a condition holds. What optimizers
    /// assign is their own.
    #[track_caller]
    pub(crate) fn assign_only_where(&self, condition: &Tensor) {
        let assignments = self.data().assignments.clone();
        for (position, (variable, value)) in assignments.into_iter().enumerate() {
            let is_buffer = matches!(
                &self.data().nodes[variable.node()].op,
                Op::Variable(variable) if matches!(variable.role, Role::Buffer | Role::Data)
            );
            if is_buffer {
                let [variable, value] = [variable, value].map(|id| Tensor::new(self.clone(), id));
                let chosen = condition.select(&value, &variable);
                self.data().assignments[position].1 = chosen.id();
            }
        }
    }

    /// True where this variable takes a value at the end of a run.
    pub(crate) fn is_assigned(&self, variable: &Tensor) -> bool {
        self.data().assignments.iter().any(|&(known, _)| known == variable.id())
    }

    /// True where something is assigned to a variable at the end of a run.
    pub(crate) fn assigns(&self) -> bool {
        !self.data().assignments.is_empty()
    }

    /// The trainable parameters with their names, in the order in which they were made.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        let data = self.data();
        let found: Vec<(String, ValueId)> = data
            .nodes
            .iter()
            .enumerate()
            .filter_map(|(index, node)| match &node.op {
                Op::Variable(variable) if variable.role == Role::Parameter => {
                    Some((variable.name.clone(), ValueId { node: index as u32, output: 0 }))
                }
                _ => None,
            })
            .collect();
        drop(data);
        found.into_iter().map(|(name, id)| (name, Tensor::new(self.clone(), id))).collect()
    }

    /// The tensor with a name, if there is one: an input or a variable.
    pub fn find(&self, name: &str) -> Option<Tensor> {
        let id = self.data().names.get(name).copied()?;
        Some(Tensor::new(self.clone(), id))
    }

    /// The number of the next random stream of this graph.
    pub(crate) fn next_random_stream(&self) -> u32 {
        let mut data = self.data();
        data.random_draws += 1;
        data.random_draws - 1
    }
}
