//! From a model to a graph: shapes for its inputs, initializers as parameters, and one node after the other through its handler.
//! An initializer enters the graph when something computes with it: one that only steers shapes is no parameter.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::check::{describe, is_default};
use super::knowledge::Knowledge;
use super::model::{Declared, Model};
use super::node::Node;
use super::ops;
use super::options::Import;
use super::proto::{AttributeProto, GraphProto, NodeProto, OperatorSetIdProto};
use super::settle::Settled;
use super::signature;
use super::statistics::{self, Statistics};
use super::tensor::{decode, extents};
use super::value::{Stored, Value};
use super::weights::Weights;
use crate::error::{Error, Origin, Result};
use crate::graph::{Graph, Tensor};
use crate::ops::{Initial, Op, Role, Variable};
use crate::tensor::{DType, TensorData};

/// Nodes that an import may make of a model, those of unrolled loops and called functions counted each time.
const MOST_NODES: usize = 100_000;

/// Graphs within graphs and functions within functions.
const DEEPEST: usize = 64;

/// Results of constants up to this size are computed while importing, not by each run.
const FOLDED_ELEMENTS: usize = 65_536;

/// A graph made from a model.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The graph. Its outputs have the model's names, its parameters those of the initializers.
    pub graph: Graph,
    /// The inputs, in the model's order.
    pub inputs: Vec<(String, Tensor)>,
    /// The outputs, in the model's order.
    pub outputs: Vec<(String, Tensor)>,
    /// The float initializers that the graph computes with, as parameters of the graph. Running means and variances of batch
    /// normalisations are not among them, nor what the file itself says is no parameter: [`Graph::find`] gives those.
    pub parameters: Vec<(String, Tensor)>,
    /// All float initializers of the main graph with their values, those too that only steer shapes or that nothing uses; then
    /// the weights that the file has as `Constant` nodes, which are parameters or buffers ([`Import::train_constants`]).
    pub initializers: Vec<(String, TensorData)>,
    /// The variables of the graph that hold each of [`initializers`](Self::initializers), by its name: none where nothing computes
    /// with it, several where running statistics are stored together with something else.
    pub variables: Vec<(String, Vec<Tensor>)>,
    /// The weights in `Constant` nodes that are no parameters, since the file has initializers ([`Import::train_constants`]).
    pub untrained: Vec<String>,
    /// The inputs for whose values the graph was made: it must be run with no others.
    pub fixed: Vec<String>,
    /// The running means and variances of batch normalisations in training mode, with what a step makes of them. A program that
    /// trains assigns it to them ([`Graph::assign`]).
    pub statistics: Vec<(Tensor, Tensor)>,
}

/// Names in the order of graphs around graphs.
pub(super) struct Scope<'a> {
    values: HashMap<&'a str, Value>,
    parent: Option<&'a Scope<'a>>,
    /// The attributes of the call, in a function's body.
    pub(super) attributes: HashMap<&'a str, &'a AttributeProto>,
    opsets: &'a [OperatorSetIdProto],
    depth: usize,
}

impl<'a> Scope<'a> {
    fn within(parent: &'a Scope<'a>) -> Self {
        Self {
            values: HashMap::new(),
            parent: Some(parent),
            attributes: parent.attributes.clone(),
            opsets: parent.opsets,
            depth: parent.depth + 1,
        }
    }

    /// What a name stands for, here or in a graph around.
    pub(super) fn find(&self, name: &str) -> Option<&Value> {
        self.values.get(name).or_else(|| self.parent.and_then(|parent| parent.find(name)))
    }

    /// The version of an operator set; 0 where it is not imported.
    pub(super) fn opset(&self, domain: &str) -> i64 {
        let same =
            |import: &&OperatorSetIdProto| import.domain == domain || is_default(&import.domain) && is_default(domain);
        self.opsets.iter().find(same).map_or(0, |import| import.version)
    }
}

/// An import in progress.
pub(super) struct Importer<'a> {
    pub(super) model: &'a Model,
    pub(super) graph: Graph,
    /// The user's line that asked for it.
    origin: Origin,
    knowledge: RefCell<Knowledge>,
    /// Initializers of graphs within graphs, by their position in the model: a loop's body uses the same ones in each iteration.
    inner: RefCell<HashMap<*const GraphProto, Vec<Rc<Stored>>>>,
    nodes: Cell<usize>,
    pub(super) statistics: RefCell<Statistics>,
    /// Constants of floats, by their node: a body that is built several times has one.
    constants: RefCell<HashMap<*const NodeProto, Rc<Stored>>>,
    /// Whether constants may be weights: where the file does not say what its parameters are.
    seeks_weights: bool,
    pub(super) weights: RefCell<Weights>,
}

impl Model {
    /// Makes a graph of the model.
    ///
    /// # Errors
    /// All operators that are missing, in one error; an input whose shape or value has to be set; whatever a node cannot do
    /// with its inputs, by the node's name.
    #[track_caller]
    pub fn import(&self, import: &Import) -> Result<Imported> {
        // Not in a closure: the user's line does not reach into one.
        let origin = Origin::caller();
        Importer::run(self, import, origin).map_err(|error| self.at(error))
    }
}

impl<'a> Importer<'a> {
    fn run(model: &'a Model, import: &Import, origin: Origin) -> Result<Imported> {
        let missing = model.missing();
        if !missing.is_empty() {
            let names: Vec<String> = missing.iter().map(|(name, count)| format!("{name} ({count})")).collect();
            return Err(Error::Data(format!("operators that are not supported: {}", names.join(", "))));
        }
        let mut import = import.clone();
        let declared = model.listed_inputs();
        import.bind(&declared);
        if let Some(name) = import.names().find(|&name| !declared.iter().any(|input| input.name == *name)) {
            let names: Vec<&str> = declared.iter().map(|input| &*input.name).collect();
            return Err(Error::Argument(format!("the model has no input {name:?}; there are {names:?}")));
        }
        let values = import.values.iter().map(|(name, value)| (name.clone(), Arc::clone(value))).collect();
        let built = Graph::new();
        built.built_for(origin);
        let importer = Importer {
            model,
            graph: built,
            origin,
            knowledge: RefCell::new(Knowledge::new(values)),
            inner: RefCell::default(),
            nodes: Cell::new(0),
            statistics: RefCell::default(),
            constants: RefCell::default(),
            seeks_weights: !signature::is_given(model.graph()),
            weights: RefCell::default(),
        };
        let main = model.graph();
        let mut scope = Scope {
            values: HashMap::new(),
            parent: None,
            attributes: HashMap::new(),
            opsets: &model.proto.opset_import,
            depth: 0,
        };
        let stored = importer.stored(main)?;
        scope.values.extend(
            main.initializer
                .iter()
                .zip(&stored)
                .map(|(initializer, stored)| (&*initializer.name, Value::Stored(Rc::clone(stored)))),
        );
        let mut inputs = Vec::new();
        for (input, info) in declared.iter().zip(&main.input) {
            if scope.values.contains_key(&*info.name) && !import.names().any(|name| *name == input.name) {
                continue;
            }
            let tensor = importer.input(input, &import)?;
            scope.values.insert(&info.name, tensor.clone().into());
            inputs.push((input.name.clone(), tensor));
        }
        importer.nodes(&main.node, &mut scope)?;
        let mut outputs = Vec::new();
        for output in &main.output {
            let Some(value) = scope.find(&output.name) else {
                return Err(Error::Data(format!("output {:?} was not computed", output.name)));
            };
            let tensor = importer
                .tensor(value)
                .map_err(|message| Error::Data(format!("output {:?} cannot be returned: {message}", output.name)))?;
            importer.graph.output(&output.name, &tensor);
            outputs.push((output.name.clone(), tensor));
        }
        importer.check("the model").map_err(Error::Data)?;
        let Settled { initializers, variables, untrained } = importer.settle(&stored, import.trains_constants);
        let parameters = importer.graph.parameters();
        let fixed = importer.knowledge.borrow().fixed().iter().cloned().collect();
        let statistics = importer.statistics.take().next;
        Ok(Imported {
            graph: importer.graph,
            inputs,
            outputs,
            parameters,
            initializers,
            variables,
            untrained,
            fixed,
            statistics,
        })
    }

    /// The engine's first mistake, attributed to `location`.
    pub(super) fn check(&self, location: &str) -> Result<(), String> {
        match self.graph.error() {
            None => Ok(()),
            Some(Error::Graph { operator, message, .. }) => Err(format!("{location}: {operator}: {message}")),
            Some(other) => Err(format!("{location}: {other}")),
        }
    }

    fn input(&self, declared: &Declared, import: &Import) -> Result<Tensor> {
        let Some(dtype) = declared.dtype else {
            return Err(Error::Data(format!("input {declared} is of a type that is not supported")));
        };
        let shape = import.shape_of(declared).map_err(Error::Argument)?;
        if let Some(value) = import.values.get(&declared.name)
            && value.dtype() != dtype
        {
            return Err(Error::Argument(format!("input {declared} is {dtype}, but {} was passed", value.ty())));
        }
        let dims: Vec<i64> = shape.iter().map(|&extent| i64::try_from(extent).unwrap_or(i64::MAX)).collect();
        extents(&dims).map_err(|message| Error::Argument(format!("input {declared}: {message}")))?;
        let tensor = self.graph.input(&declared.name, shape, dtype);
        self.check("the model").map_err(Error::Data)?;
        Ok(tensor)
    }

    /// The initializers of a graph.
    fn stored(&self, graph: &GraphProto) -> Result<Vec<Rc<Stored>>> {
        if let Some(known) = self.inner.borrow().get(&std::ptr::from_ref(graph)) {
            return Ok(known.clone());
        }
        let constants = signature::constants(graph);
        let decoded = graph.initializer.iter().map(|initializer| {
            let data = decode(initializer, self.model.folder.as_deref())
                .map_err(|message| Error::Data(format!("initializer {:?}: {message}", initializer.name)))?;
            let role = if constants.contains(&*initializer.name) { Role::Buffer } else { Role::Parameter };
            let name = initializer.name.clone();
            Ok(Rc::new(Stored { name, role, is_constant: false, data: Arc::new(data), tensor: OnceCell::new() }))
        });
        let decoded: Vec<Rc<Stored>> = decoded.collect::<Result<_>>()?;
        self.inner.borrow_mut().insert(graph, decoded.clone());
        Ok(decoded)
    }

    /// A value as a tensor of the graph. Float initializers become parameters, others constants.
    pub(super) fn tensor(&self, value: &Value) -> Result<Tensor, String> {
        match value {
            Value::Tensor(tensor) => Ok(tensor.clone()),
            Value::Stored(stored) => Ok(stored
                .tensor
                .get_or_init(|| {
                    if stored.is_constant || !stored.data.dtype().is_float() {
                        return self.graph.constant(TensorData::clone(&stored.data));
                    }
                    let name = self.free_name(&stored.name);
                    let initial = Initial::Values(TensorData::clone(&stored.data));
                    self.graph.variable(Variable {
                        name,
                        ty: stored.data.ty().clone(),
                        role: stored.role.clone(),
                        initial,
                    })
                })
                .clone()),
            Value::Optional(Some(inner)) => self.tensor(inner),
            other => Err(format!("a tensor is expected, not {}", other.kind())),
        }
    }

    /// The name, or the first free one after it: graphs within graphs may use a name again.
    pub(super) fn free_name(&self, name: &str) -> String {
        let taken = |name: &str| self.graph.find(name).is_some();
        match (1..).map(|number| format!("{name}.{number}")).find(|name| !taken(name)) {
            Some(other) if taken(name) => other,
            _ => name.to_owned(),
        }
    }

    /// A constant of floats, which may turn out to be a weight; `shared` where it is the same whenever its node is built.
    pub(super) fn float_constant(&self, proto: &NodeProto, data: TensorData, shared: bool) -> Value {
        if !self.seeks_weights {
            return self.graph.constant(data).into();
        }
        let new = || {
            let name = proto.output.first().cloned().unwrap_or_default();
            let data = Arc::new(data);
            Rc::new(Stored { name, role: Role::Parameter, is_constant: true, data, tensor: OnceCell::new() })
        };
        if !shared {
            return Value::Stored(new());
        }
        Value::Stored(Rc::clone(self.constants.borrow_mut().entry(std::ptr::from_ref(proto)).or_insert_with(new)))
    }

    /// A value on the host.
    pub(super) fn host(&self, value: &Value) -> Result<Arc<TensorData>, String> {
        match value {
            Value::Stored(stored) => Ok(Arc::clone(&stored.data)),
            Value::Tensor(tensor) => {
                self.knowledge.borrow_mut().value(&self.graph, tensor.id()).map_err(|error| error.to_string())
            }
            Value::Optional(Some(inner)) => self.host(inner),
            other => Err(format!("a tensor is expected, not {}", other.kind())),
        }
    }

    /// True where a value follows from constants alone. Float initializers are parameters, which training changes.
    pub(super) fn is_constant(&self, value: &Value) -> bool {
        match value {
            Value::Stored(stored) => stored.is_constant || !stored.data.dtype().is_float(),
            Value::Tensor(tensor) => self.knowledge.borrow_mut().is_constant(&self.graph, tensor.id()),
            _ => false,
        }
    }

    /// Imports nodes, whose results the scope gains.
    fn nodes<'s>(&self, nodes: &'s [NodeProto], scope: &mut Scope<'s>) -> Result<()> {
        for proto in nodes {
            let outputs = self.node(proto, scope)?;
            for (name, value) in proto.output.iter().zip(outputs).filter(|(name, _)| !name.is_empty()) {
                scope.values.insert(name, value);
            }
        }
        Ok(())
    }

    fn node(&self, proto: &NodeProto, scope: &Scope<'_>) -> Result<Vec<Value>> {
        let mut inputs = Vec::with_capacity(proto.input.len());
        for name in &proto.input {
            inputs.push(match scope.find(name) {
                _ if name.is_empty() => Value::None,
                Some(value) => value.clone(),
                None => return Err(Error::Data(format!("{name:?} is used before it is computed"))),
            });
        }
        if statistics::concerns(proto) {
            self.statistics.borrow_mut().part(proto, scope.depth == 0, &mut inputs);
        }
        let node = Node::new(self, scope, proto, inputs);
        self.nodes.set(self.nodes.get() + 1);
        if self.nodes.get() > MOST_NODES {
            return Err(node.error(format!("with loops unrolled, the model has more than {MOST_NODES} nodes")));
        }
        let function = self.model.function(proto);
        let outputs = self.graph.at(self.origin.in_layer(&describe(proto)), || match function {
            Some(function) => node.call(function),
            None => match ops::find(&proto.domain, &proto.op_type) {
                Some(handler) => handler(&node),
                None => Err(node.error("the operator is not supported")),
            },
        })?;
        node.check()?;
        if statistics::concerns(proto) {
            self.statistics.borrow_mut().keep(&node, &outputs);
        }
        if function.is_none() {
            self.weights.borrow_mut().observe(&node, &outputs);
        }
        if let Some(name) = proto.output.iter().skip(outputs.len()).find(|name| !name.is_empty()) {
            return Err(node.error(format!("its output {name:?} is not supported")));
        }
        Ok(outputs.into_iter().map(|value| self.folded(value)).collect())
    }

    /// Integers and truth values that follow from constants, as constants: the arithmetic of shapes leaves the graph.
    fn folded(&self, value: Value) -> Value {
        let Value::Tensor(tensor) = &value else { return value };
        let ty = tensor.ty();
        let held =
            matches!(self.graph.data().nodes.get(tensor.id().node()).map(|node| &node.op), Some(Op::Constant(_)));
        if held || ty.dtype.is_float() || ty.dtype == DType::U8 || ty.len() > FOLDED_ELEMENTS {
            return value;
        }
        let mut knowledge = self.knowledge.borrow_mut();
        if !knowledge.is_constant(&self.graph, tensor.id()) {
            return value;
        }
        match knowledge.value(&self.graph, tensor.id()) {
            Ok(data) => self.graph.constant(TensorData::clone(&data)).into(),
            Err(_) => value,
        }
    }

    /// Imports a graph within a node, which sees the names around it.
    pub(super) fn subgraph(
        &self,
        graph: &GraphProto,
        inputs: Vec<Value>,
        parent: &Scope<'_>,
    ) -> Result<Vec<Value>, Error> {
        let mut scope = Scope::within(parent);
        deep_enough(scope.depth)?;
        if inputs.len() != graph.input.len() {
            let (takes, found) = (graph.input.len(), inputs.len());
            return Err(Error::Data(format!(
                "the graph {:?} takes {takes} inputs, but {found} are passed",
                graph.name
            )));
        }
        let stored = self.stored(graph)?;
        scope.values.extend(
            graph
                .initializer
                .iter()
                .zip(stored)
                .map(|(initializer, stored)| (&*initializer.name, Value::Stored(stored))),
        );
        scope.values.extend(graph.input.iter().map(|input| &*input.name).zip(inputs));
        self.nodes(&graph.node, &mut scope)?;
        results(&scope, graph.output.iter().map(|output| &*output.name))
    }

    /// Imports a function's body for one call of it.
    pub(super) fn call(
        &self,
        function: &super::proto::FunctionProto,
        inputs: Vec<Value>,
        attributes: &[&AttributeProto],
        depth: usize,
    ) -> Result<Vec<Value>, Error> {
        deep_enough(depth + 1)?;
        let defaults = function.attribute_proto.iter().map(|attribute| (&*attribute.name, attribute));
        let attributes = defaults.chain(attributes.iter().map(|&attribute| (&*attribute.name, attribute))).collect();
        let missing = std::iter::repeat(Value::None);
        let values = function.input.iter().map(String::as_str).zip(inputs.into_iter().chain(missing)).collect();
        let mut scope = Scope { values, parent: None, attributes, opsets: &function.opset_import, depth: depth + 1 };
        self.nodes(&function.node, &mut scope)?;
        results(&scope, function.output.iter().map(String::as_str))
    }

    /// How deep a scope is nested.
    pub(super) const fn depth(scope: &Scope<'_>) -> usize {
        scope.depth
    }
}

fn deep_enough(depth: usize) -> Result<()> {
    if depth <= DEEPEST {
        return Ok(());
    }
    Err(Error::Data(format!("graphs and functions are nested more than {DEEPEST} deep; does a function call itself?")))
}

fn results<'b>(scope: &Scope<'_>, names: impl Iterator<Item = &'b str>) -> Result<Vec<Value>> {
    let value =
        |name: &str| scope.find(name).cloned().ok_or_else(|| Error::Data(format!("output {name:?} was not computed")));
    names.map(value).collect()
}
