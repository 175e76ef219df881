//! What follows from a cell's definition: the values that a step saves for the backward pass, and the expressions of both passes.

use crate::scalar::{Affine, Builder, NodeId, ScalarExpr, ScalarNode, adjoints};
use crate::tensor::DType;

/// Numbers of what a cell has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Counts {
    pub(super) gates: usize,
    pub(super) states: usize,
    pub(super) parameters: usize,
}

/// What an expression of a cell reads, for one unit. Each is an input of the expression, by [`Counts::input`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    /// What the inputs contribute to a gate.
    Input(usize),
    /// A gate's product with a state, with its bias.
    Product(usize),
    /// A state before the step.
    State(usize),
    /// A value of the unit's own.
    Parameter(usize),
    /// The gradient of a state after the step.
    Upstream(usize),
    /// The gradient of the state that the second product takes.
    InnerUpstream,
    /// A value that the forward pass saved.
    Saved(usize),
}

impl Counts {
    /// The index of the leaf among an expression's inputs.
    pub(super) const fn input(self, leaf: Leaf) -> usize {
        let Self { gates, states, parameters } = self;
        match leaf {
            Leaf::Input(gate) => gate,
            Leaf::Product(gate) => gates + gate,
            Leaf::State(state) => 2 * gates + state,
            Leaf::Parameter(parameter) => 2 * gates + states + parameter,
            Leaf::Upstream(state) => 2 * gates + states + parameters + state,
            Leaf::InnerUpstream => 2 * gates + 2 * states + parameters,
            Leaf::Saved(value) => 2 * gates + 2 * states + parameters + 1 + value,
        }
    }

    /// The leaf at an index among an expression's inputs.
    pub(super) fn leaf(self, input: usize) -> Leaf {
        let Self { gates, states, parameters } = self;
        let kinds = [
            (gates, Leaf::Input as fn(usize) -> Leaf),
            (gates, Leaf::Product),
            (states, Leaf::State),
            (parameters, Leaf::Parameter),
            (states, Leaf::Upstream),
            (1, |_| Leaf::InnerUpstream),
        ];
        let mut index = input;
        for (count, kind) in kinds {
            if index < count {
                return kind(index);
            }
            index -= count;
        }
        Leaf::Saved(index)
    }

    /// The node of a leaf.
    pub(super) fn load(self, builder: &mut Builder, leaf: Leaf) -> NodeId {
        builder.load(self.input(leaf), DType::F64, Affine::constant(0, 0))
    }
}

/// The state that the products of some gates take instead of the hidden one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Inner<T> {
    /// The first gate whose product takes it; so do all gates after it.
    pub(super) first_gate: usize,
    /// The state: a node of the definition, or its index among the saved values.
    pub(super) state: T,
}

/// The expressions of a cell. A step whose gates have two products has two halves: what is before the second product, and the rest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Derived {
    /// The values saved by the first half, in their order.
    pub(super) first: Option<ScalarExpr>,
    /// The states after the step, then the other values saved.
    pub(super) step: ScalarExpr,
    /// The gradients of the gates' sums, of their products where those differ, of the parameters; then of the states before the step,
    /// without what the products add. All of them from the gradients of the states after the step and from what was saved.
    pub(super) backward: ScalarExpr,
    /// What is added to the same gradients once that of the inner state is known.
    pub(super) backward_inner: Option<ScalarExpr>,
    /// Values that the first half saves.
    pub(super) saved_first: usize,
    /// Values saved in all, without the states before the step.
    pub(super) saved: usize,
    pub(super) inner: Option<Inner<usize>>,
    /// Whether products have other gradients than the sums that they are a part of.
    pub(super) separate_products: bool,
}

impl Derived {
    /// What a definition that failed has.
    pub(super) fn nothing() -> Self {
        Self {
            first: None,
            step: ScalarExpr::nothing(),
            backward: ScalarExpr::nothing(),
            backward_inner: None,
            saved_first: 0,
            saved: 0,
            inner: None,
            separate_products: false,
        }
    }
}

/// A definition as it was written.
pub(super) struct Written {
    pub(super) builder: Builder,
    pub(super) counts: Counts,
    /// The states after the step.
    pub(super) states: Vec<NodeId>,
    pub(super) inner: Option<Inner<NodeId>>,
}

impl Written {
    /// For each node: whether the nodes or what they are computed from contain it.
    fn reachable(&self, roots: &[NodeId]) -> Vec<bool> {
        live(&self.builder, roots, |_| false)
    }

    fn find(&self, leaf: Leaf) -> Option<NodeId> {
        let input = self.counts.input(leaf);
        let is_it = |node: &ScalarNode| matches!(node, ScalarNode::Load { input: other, .. } if *other == input);
        self.builder.nodes.iter().position(is_it).map(|index| NodeId(index as u32))
    }

    /// For each node: whether it depends on products of these gates.
    fn depends(&self, gates: std::ops::Range<usize>) -> Vec<bool> {
        let mut depends: Vec<bool> = Vec::with_capacity(self.builder.nodes.len());
        for node in &self.builder.nodes {
            depends.push(match node {
                ScalarNode::Load { input, .. } => {
                    matches!(self.counts.leaf(*input), Leaf::Product(gate) if gates.contains(&gate))
                }
                other => ScalarExpr::operands(other).iter().any(|id| depends[id.index()]),
            });
        }
        depends
    }

    /// What is wrong with the definition, apart from its derivatives.
    pub(super) fn check(&self, parameters: &[String]) -> Result<(), String> {
        let Counts { gates, states, .. } = self.counts;
        let roots: Vec<NodeId> = self.states.iter().copied().chain(self.inner.map(|inner| inner.state)).collect();
        let reachable = self.reachable(&roots);
        let is_read = |leaf: Leaf| self.find(leaf).is_some_and(|id| reachable[id.index()]);
        if let Some(gate) = (0..gates).find(|&gate| !is_read(Leaf::Input(gate)) && !is_read(Leaf::Product(gate))) {
            return Err(format!("gate {gate} is never used; there are {gates}, counted from 0"));
        }
        if let Some(name) =
            parameters.iter().enumerate().find_map(|(k, name)| (!is_read(Leaf::Parameter(k))).then_some(name))
        {
            return Err(format!("parameter {name:?} is never used"));
        }
        let numbers = |dtype: &DType| matches!(dtype, DType::F64 | DType::Bool);
        if let Some(dtype) = self.builder.types.iter().find(|dtype| !numbers(dtype)) {
            return Err(format!(
                "computes in {dtype}; a cell's values are floats of its inputs' type, and truth values"
            ));
        }
        for state in 0..states {
            let Some(&after) = self.states.get(state) else { continue };
            if self.find(Leaf::State(state)) == Some(after) {
                return Err(format!("state {state} is never written: the step returns it as it was"));
            }
            if !self.builder.dtype(after).is_float() {
                return Err(format!("state {state} becomes a truth value, and should be a number"));
            }
        }
        if let Some(inner) = self.inner {
            let second = self.depends(inner.first_gate..gates);
            if second[inner.state.index()] {
                return Err(format!(
                    "the state of the second product depends on that product: on one of gates {} to {}",
                    inner.first_gate,
                    gates - 1
                ));
            }
            if !(inner.first_gate..gates).any(|gate| is_read(Leaf::Product(gate))) {
                return Err("the second product is never used".into());
            }
        }
        Ok(())
    }

    /// Differentiates the definition.
    ///
    /// # Errors
    /// A function that has no derivative.
    pub(super) fn derive(mut self) -> Result<Derived, String> {
        let Counts { gates, states, parameters } = self.counts;
        let forward_nodes = self.builder.nodes.len();
        let no_derivative = |name: &str| format!("{name} has no derivative, and a gradient would have to pass it");
        let mut seeds = Vec::with_capacity(states);
        for (state, &after) in self.states.iter().enumerate() {
            seeds.push((after, self.counts.load(&mut self.builder, Leaf::Upstream(state))));
        }
        let direct = adjoints(&mut self.builder, &seeds).map_err(no_derivative)?;
        let through = match self.inner {
            Some(inner) => {
                let upstream = self.counts.load(&mut self.builder, Leaf::InnerUpstream);
                Some(adjoints(&mut self.builder, &[(inner.state, upstream)]).map_err(no_derivative)?)
            }
            None => None,
        };
        let zero = self.builder.number(0.0);
        let gradients = |adjoints: &[Option<NodeId>], leaf: fn(usize) -> Leaf, count: usize| -> Vec<NodeId> {
            let of = |index: usize| adjoints.get(self.find(leaf(index))?.index()).copied().flatten();
            (0..count).map(|index| of(index).unwrap_or(zero)).collect()
        };
        let passes: Vec<[Vec<NodeId>; 4]> = std::iter::once(&direct)
            .chain(&through)
            .map(|adjoints| {
                [
                    gradients(adjoints, Leaf::Input, gates),
                    gradients(adjoints, Leaf::Product, gates),
                    gradients(adjoints, Leaf::Parameter, parameters),
                    gradients(adjoints, Leaf::State, states),
                ]
            })
            .collect();
        let separate_products = passes.iter().any(|[inputs, products, ..]| inputs != products);
        let passes: Vec<Vec<NodeId>> = passes
            .into_iter()
            .map(|[inputs, products, parameters, states]| {
                let products = if separate_products { products } else { Vec::new() };
                [inputs, products, parameters, states].concat()
            })
            .collect();

        let gradient_roots: Vec<NodeId> = passes.iter().flatten().copied().collect();
        let [first, second] = self.choose_saved(&gradient_roots, forward_nodes);
        let all: Vec<NodeId> = first.iter().chain(&second).copied().collect();
        let inner = self.inner.map(|inner| Inner {
            first_gate: inner.first_gate,
            state: first.iter().position(|&id| id == inner.state).unwrap_or(0),
        });
        let step: Vec<NodeId> = self.states.iter().chain(&second).copied().collect();
        Ok(Derived {
            first: inner.map(|_| self.expression(&first, &[])),
            step: self.expression(&step, &first),
            backward: self.expression(&passes[0], &all),
            backward_inner: passes.get(1).map(|pass| self.expression(pass, &all)),
            saved_first: first.len(),
            saved: all.len(),
            inner,
            separate_products,
        })
    }

    /// The values to save, of the first half of a step and of the rest. What the backward pass needs of the forward one is looked at,
    /// operands first: what can be computed from saved values, parameters and the states before is computed again, the rest is saved.
    fn choose_saved(&self, gradients: &[NodeId], forward_nodes: usize) -> [Vec<NodeId>; 2] {
        let nodes = &self.builder.nodes;
        let is_forward = |id: NodeId| id.index() < forward_nodes;
        let of_backward = live(&self.builder, gradients, is_forward);
        let mut needed: Vec<bool> = (0..forward_nodes).map(|index| of_backward[index]).collect();
        // What the second half needs of the first one.
        let gates = self.counts.gates;
        let split = self.inner.map_or(0, |inner| inner.first_gate);
        let (of_first, of_second) = (self.depends(0..split), self.depends(split..gates));
        let crosses = |id: NodeId| of_first[id.index()] && !of_second[id.index()];
        for (index, is_live) in self.reachable(&self.states).into_iter().enumerate() {
            if is_live && of_second[index] {
                ScalarExpr::operands(&nodes[index])
                    .iter()
                    .filter(|id| crosses(**id))
                    .for_each(|id| needed[id.index()] = true);
            }
        }
        self.states.iter().filter(|id| crosses(**id)).for_each(|id| needed[id.index()] = true);
        // The second product reads it in memory, and so does the weight's gradient.
        let inner = self.inner.map(|inner| inner.state);
        let mut computable = vec![false; forward_nodes];
        let mut saved = [Vec::new(), Vec::new()];
        for index in 0..forward_nodes {
            let id = NodeId(index as u32);
            computable[index] = match &nodes[index] {
                ScalarNode::Constant(_) => true,
                ScalarNode::Load { input, .. } => {
                    matches!(self.counts.leaf(*input), Leaf::State(_) | Leaf::Parameter(_))
                }
                other => ScalarExpr::operands(other).iter().all(|id| computable[id.index()]),
            };
            if inner == Some(id) || needed[index] && !computable[index] {
                computable[index] = true;
                let is_first = self.inner.is_some() && !of_second[index];
                saved[if is_first { 0 } else { 1 }].push(id);
            }
        }
        saved
    }

    /// An expression of these values, in which saved ones are read.
    fn expression(&self, outputs: &[NodeId], saved: &[NodeId]) -> ScalarExpr {
        let mut builder = Builder::new(DType::F64);
        let is_saved = |id: NodeId| saved.contains(&id);
        let live = live(&self.builder, outputs, is_saved);
        let mut ids = vec![NodeId(0); live.len()];
        for (index, node) in self.builder.nodes.iter().enumerate() {
            if !live[index] {
                continue;
            }
            let position = saved.iter().position(|id| id.index() == index);
            ids[index] = match (position, node) {
                (Some(value), _) => self.counts.load(&mut builder, Leaf::Saved(value)),
                (None, ScalarNode::Call { function, arguments }) => {
                    let arguments: Vec<NodeId> = arguments.iter().map(|id| ids[id.index()]).collect();
                    builder.call(*function, &arguments)
                }
                (None, leaf) => builder.push(leaf.clone(), self.builder.types[index]),
            };
        }
        let inputs = vec![DType::F64; self.counts.input(Leaf::Saved(saved.len()))];
        builder.finish(Vec::new(), inputs, outputs.iter().map(|id| (ids[id.index()], DType::F64)).collect())
    }
}

/// For each node: whether some of the roots are computed from it, without what is behind nodes at which the search ends.
fn live(builder: &Builder, roots: &[NodeId], ends: impl Fn(NodeId) -> bool) -> Vec<bool> {
    let mut live = vec![false; builder.nodes.len()];
    roots.iter().for_each(|id| live[id.index()] = true);
    for index in (0..live.len()).rev() {
        if live[index] && !ends(NodeId(index as u32)) {
            ScalarExpr::operands(&builder.nodes[index]).iter().for_each(|id| live[id.index()] = true);
        }
    }
    live
}
