//! What a step of a recurrence computes: one scalar expression for a unit, from which the kernels, their gradients, the CPU's code and
//! the unrolled definition follow.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use super::derived::{Counts, Derived, Inner, Leaf, Written};
use super::units::Codes;
use crate::error::{Error, Result};
use crate::scalar::{IntoValue, NodeId, Value, Writing};
use crate::tensor::DType;

/// What a step of a recurrence computes for each unit. [`CellDefinition`] makes one; those of the built-in layers are ready.
///
/// Copies share the definition; cells with the same name and expression are equal.
#[derive(Clone)]
pub struct Cell(Arc<Definition>);

struct Definition {
    name: String,
    counts: Counts,
    parameters: Vec<String>,
    derived: Derived,
    codes: Codes,
}

/// A cell that is being defined: a recurrent layer of one's own.
///
/// Of each unit, a step gets what the inputs contribute to each gate (with PyTorch's `bias_ih`), the gates' products with the hidden
/// state (with `bias_hh`), the states before, and parameters of the unit's own. It returns the states after: the first one is the
/// hidden state, which is the layer's output and is multiplied by the weight in the next step. Everything else follows: what is saved
/// for the backward pass, gradients (and gradients of gradients), kernels that run a whole sequence, and the CPU's code.
///
/// ```
/// use wgrad::ops::{CellDefinition, RecurrentOptions};
/// use wgrad::prelude::*;
/// // A long short-term memory with peepholes (Gers and Schmidhuber 2000).
/// let peephole = CellDefinition::new("peephole_lstm", 4).parameters(["weight_ci", "weight_cf", "weight_co"]).step(|s| {
///     let c = s.state(1);
///     let i = (s.gate(0) + s.parameter("weight_ci") * c).sigmoid();
///     let f = (s.gate(1) + s.parameter("weight_cf") * c).sigmoid();
///     let c = f * c + i * s.gate(2).tanh();
///     let o = (s.gate(3) + s.parameter("weight_co") * c).sigmoid();
///     [o * c.tanh(), c]
/// })?;
/// assert_eq!((peephole.gates(), peephole.states()), (4, 2));
///
/// let g = Graph::new();
/// let layer = nn::CustomRNN::new(&g, "layer", &peephole, 3, 16);
/// let y = layer.forward(&g.input("x", [20, 8, 3], F32), Mode::Training); // steps, batch, features
/// assert_eq!(y.shape(), [20, 8, 16].into());
/// # assert!(g.error().is_none());
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CellDefinition {
    name: String,
    gates: usize,
    parameters: Vec<String>,
}

impl CellDefinition {
    /// A cell with this number of gates, which are rows of PyTorch's weights `weight_ih` and `weight_hh`, `[gates · hidden, …]`. The name
    /// is for messages, printed programs and profiles.
    #[must_use]
    pub fn new(name: impl Into<String>, gates: usize) -> Self {
        Self { name: name.into(), gates, parameters: Vec::new() }
    }

    /// Parameters with a value for each unit, `[hidden]`, by the names that they have in a layer (`NAME.weight_ci_l0`).
    #[must_use]
    pub fn parameters<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        Self { parameters: names.into_iter().map(Into::into).collect(), ..self }
    }

    /// Defines the step by the states that it returns, the hidden one first. The function is called once, with scalars that stand for
    /// those of any unit.
    ///
    /// # Errors
    /// [`Error::Argument`] that names what is wrong: a gate or parameter that is never used, a state that is never written, a function
    /// that has no derivative or other operands, an index that is out of range.
    pub fn step<const STATES: usize>(
        self,
        write: impl for<'b> FnOnce(&CellStep<'b>) -> [Value<'b>; STATES],
    ) -> Result<Cell> {
        let name = self.name.clone();
        let definition = self.define(write).map_err(|message| Error::Argument(format!("cell {name:?}: {message}")))?;
        Ok(Cell(Arc::new(definition)))
    }

    fn define<const STATES: usize>(
        self,
        write: impl for<'b> FnOnce(&CellStep<'b>) -> [Value<'b>; STATES],
    ) -> Result<Definition, String> {
        let Self { name, gates, parameters } = self;
        if name.is_empty() || !name.chars().all(|letter| letter.is_alphanumeric() || "_-.".contains(letter)) {
            return Err("the name should be of letters, digits, '_', '-' and '.'".into());
        }
        if gates == 0 || STATES == 0 {
            return Err(format!("needs one gate and one state or more, and has {gates} and {STATES}"));
        }
        for (index, parameter) in parameters.iter().enumerate() {
            if ["", "weight_ih", "weight_hh", "bias_ih", "bias_hh"].contains(&parameter.as_str()) {
                return Err(format!("a parameter cannot be called {parameter:?}: every layer has those"));
            }
            if parameters[..index].contains(parameter) {
                return Err(format!("two parameters are called {parameter:?}"));
            }
        }
        let counts = Counts { gates, states: STATES, parameters: parameters.len() };
        let writing = Writing::new(DType::F64);
        let step = CellStep { writing: &writing, counts, parameters: &parameters, inner: std::cell::Cell::new(None) };
        let states = write(&step).map(Value::id).to_vec();
        let inner = step.inner.get();
        let written = Written { builder: writing.finish()?, counts, states, inner };
        written.check(&parameters)?;
        let derived = written.derive()?;
        let codes = Codes::new(counts, &derived);
        Ok(Definition { name, counts, parameters, derived, codes })
    }
}

/// What a step of a cell gets, while it is defined: scalars that stand for those of any unit.
#[derive(Debug)]
pub struct CellStep<'b> {
    writing: &'b Writing,
    counts: Counts,
    parameters: &'b [String],
    inner: std::cell::Cell<Option<Inner<NodeId>>>,
}

impl<'b> CellStep<'b> {
    /// A gate's sum: what the inputs contribute, and its product with the state.
    pub fn gate(&self, gate: usize) -> Value<'b> {
        self.input(gate) + self.product(gate)
    }

    /// What the inputs contribute to a gate.
    pub fn input(&self, gate: usize) -> Value<'b> {
        self.leaf(gate, self.counts.gates, "gate", Leaf::Input)
    }

    /// A gate's product with the hidden state before the step (or with that of [`second_product`](Self::second_product)), and its bias.
    pub fn product(&self, gate: usize) -> Value<'b> {
        self.leaf(gate, self.counts.gates, "gate", Leaf::Product)
    }

    /// A state before the step; 0 is the hidden one.
    pub fn state(&self, state: usize) -> Value<'b> {
        self.leaf(state, self.counts.states, "state", Leaf::State)
    }

    /// A parameter of the unit's own.
    pub fn parameter(&self, name: &str) -> Value<'b> {
        if let Some(index) = self.parameters.iter().position(|known| known == name) {
            return self.leaf(index, self.counts.parameters, "parameter", Leaf::Parameter);
        }
        self.writing.fail(format!("has no parameter {name:?}; there are {:?}", self.parameters));
        self.number(0.0)
    }

    /// A number.
    pub fn number(&self, value: f64) -> Value<'b> {
        self.writing.build(|builder| builder.number(value))
    }

    /// From gate `first` on, products are with this state instead of the hidden one: a step takes two products, one after the other.
    /// The state may depend on the gates before, as σ(r)·h does in a GRU that resets before the product.
    ///
    /// ```
    /// # use wgrad::ops::CellDefinition;
    /// // The minimal gated unit (Zhou et al. 2016).
    /// let mgu = CellDefinition::new("mgu", 2).step(|s| {
    ///     let (f, h) = (s.gate(0).sigmoid(), s.state(0));
    ///     s.second_product(1, f * h);
    ///     [(1.0 - f) * h + f * s.gate(1).tanh()]
    /// })?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn second_product(&self, first: usize, state: impl IntoValue<'b>) {
        let state = state.into_value(self.state(0));
        let gates = self.counts.gates;
        if first == 0 || first >= gates {
            let message = format!("a second product begins at gate {first}, and should at one from 1 to {}", gates - 1);
            self.writing.fail(if gates == 1 { "one gate has no second product".into() } else { message });
        } else if self.inner.replace(Some(Inner { first_gate: first, state: state.id() })).is_some() {
            self.writing.fail("a step has two products at most".into());
        }
    }

    fn leaf(&self, index: usize, count: usize, what: &str, leaf: fn(usize) -> Leaf) -> Value<'b> {
        if index >= count {
            self.writing.fail(format!("has no {what} {index}; there are {count}, counted from 0"));
            return self.number(0.0);
        }
        self.writing.build(|builder| self.counts.load(builder, leaf(index)))
    }
}

impl Cell {
    /// h' = tanh(x + W·h)
    pub fn tanh() -> Self {
        static CELL: LazyLock<Cell> = LazyLock::new(|| built_in("rnn", 1, |s| [s.gate(0).tanh()]));
        CELL.clone()
    }

    /// h' = max(x + W·h, 0)
    pub fn relu() -> Self {
        static CELL: LazyLock<Cell> = LazyLock::new(|| built_in("rnn_relu", 1, |s| [s.gate(0).relu()]));
        CELL.clone()
    }

    /// i, f, g, o: c' = σ(f)·c + σ(i)·tanh(g), h' = σ(o)·tanh(c') (Hochreiter and Schmidhuber 1997, without peepholes).
    pub fn lstm() -> Self {
        static CELL: LazyLock<Cell> = LazyLock::new(|| {
            built_in("lstm", 4, |s| {
                let (i, f, g, o) = (s.gate(0).sigmoid(), s.gate(1).sigmoid(), s.gate(2).tanh(), s.gate(3).sigmoid());
                let c = f * s.state(1) + i * g;
                [o * c.tanh(), c]
            })
        });
        CELL.clone()
    }

    /// r, z, n: n = tanh(x + σ(r)·W·h), h' = (1 − σ(z))·n + σ(z)·h; PyTorch's, and Keras's with `reset_after`.
    pub fn gru() -> Self {
        static CELL: LazyLock<Cell> = LazyLock::new(|| {
            built_in("gru", 3, |s| {
                let (r, z) = (s.gate(0).sigmoid(), s.gate(1).sigmoid());
                let n = (s.input(2) + r * s.product(2)).tanh();
                [n + z * (s.state(0) - n)]
            })
        });
        CELL.clone()
    }

    /// r, z, n: n = tanh(x + W·(σ(r)·h)), h' = (1 − σ(z))·n + σ(z)·h (Cho et al. 2014); Keras's without `reset_after`.
    pub fn gru_reset_before() -> Self {
        static CELL: LazyLock<Cell> = LazyLock::new(|| {
            built_in("gru_reset_before", 3, |s| {
                let (r, z) = (s.gate(0).sigmoid(), s.gate(1).sigmoid());
                s.second_product(2, r * s.state(0));
                let n = s.gate(2).tanh();
                [n + z * (s.state(0) - n)]
            })
        });
        CELL.clone()
    }

    /// The built-in ones.
    pub fn all() -> [Self; 5] {
        [Self::tanh(), Self::relu(), Self::lstm(), Self::gru(), Self::gru_reset_before()]
    }

    /// True for one of [`all`](Self::all).
    pub fn is_built_in(&self) -> bool {
        Self::all().contains(self)
    }

    /// True where both compute the same, whatever their names.
    ///
    /// ```
    /// use wgrad::ops::{Cell, CellDefinition};
    /// let own = CellDefinition::new("own", 1).step(|s| [s.gate(0).tanh()])?;
    /// assert!(own.computes_as(&Cell::tanh()) && !own.computes_as(&Cell::relu()));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn computes_as(&self, other: &Self) -> bool {
        (self.counts(), self.derived()) == (other.counts(), other.derived())
    }

    /// The name that it was defined with.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The operator's name, as in error messages and printed programs.
    pub(crate) fn operator_name(&self) -> String {
        format!("{}_sequence", self.name())
    }

    /// Number of gates.
    pub fn gates(&self) -> usize {
        self.0.counts.gates
    }

    /// Number of states, the hidden one among them.
    pub fn states(&self) -> usize {
        self.0.counts.states
    }

    /// Names of the parameters that have a value for each unit.
    pub fn parameters(&self) -> &[String] {
        &self.0.parameters
    }

    pub(super) fn counts(&self) -> Counts {
        self.0.counts
    }

    pub(super) fn derived(&self) -> &Derived {
        &self.0.derived
    }

    pub(super) fn codes(&self) -> &Codes {
        &self.0.codes
    }

    /// The number of values that a step saves for each unit for the backward pass: its own values, then the states before it, the
    /// hidden one last.
    pub(super) fn saved(&self) -> usize {
        self.0.derived.saved + self.states()
    }

    /// The number of gradients that a step returns for each unit: those of its gates' sums; where they differ, then those of the
    /// gates' products with the state; then those of the parameters. Each group is contiguous, so that it is one operand.
    pub(super) fn gradients(&self) -> usize {
        self.of_products() + self.gates() + self.0.counts.parameters
    }

    /// The first of the gradients of the gates' products with the state.
    pub(super) fn of_products(&self) -> usize {
        if self.0.derived.separate_products { self.gates() } else { 0 }
    }
}

/// A definition of ours, which a test holds to be right.
fn built_in<const STATES: usize>(
    name: &str,
    gates: usize,
    write: impl for<'b> FnOnce(&CellStep<'b>) -> [Value<'b>; STATES],
) -> Cell {
    let definition = CellDefinition::new(name, gates).define(write).unwrap_or_else(|message| {
        let counts = Counts { gates, states: STATES, parameters: 0 };
        let derived = Derived::nothing();
        let codes = Codes::new(counts, &derived);
        Definition { name: format!("{name}: {message}"), counts, parameters: Vec::new(), derived, codes }
    });
    Cell(Arc::new(definition))
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&*self.0, &*other.0);
        Arc::ptr_eq(&self.0, &other.0)
            || (&a.name, a.counts, &a.parameters, &a.derived) == (&b.name, b.counts, &b.parameters, &b.derived)
    }
}

impl Eq for Cell {}

impl Hash for Cell {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.0.name, &self.0.derived.step).hash(state);
    }
}

/// The name; of a cell that is not built in, also what it computes, by which tuning tells it from others of its name.
impl fmt::Debug for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())?;
        if self.is_built_in() {
            return Ok(());
        }
        let derived = self.derived();
        for expression in derived.first.iter().chain([&derived.step]) {
            write!(formatter, " <{expression}>")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_built_in_cells_save_is_the_least() {
        let counts: Vec<_> =
            Cell::all().iter().map(|cell| (cell.name().to_owned(), cell.saved(), cell.gradients())).collect();
        let expected = [("rnn", 2, 1), ("rnn_relu", 2, 1), ("lstm", 6, 4), ("gru", 5, 6), ("gru_reset_before", 5, 3)];
        assert_eq!(counts, expected.map(|(name, saved, gradients)| (name.to_owned(), saved, gradients)));
        let reset = Cell::gru_reset_before();
        assert_eq!(reset.derived().saved_first, 3, "r, z and r·h");
    }

    #[test]
    fn cells_are_equal_by_what_they_compute() {
        let again = |name: &str| CellDefinition::new(name, 1).step(|s| [s.gate(0).tanh()]).unwrap();
        assert_eq!(again("rnn"), Cell::tanh());
        assert_ne!(again("other"), Cell::tanh());
        assert_ne!(Cell::relu(), Cell::tanh());
        assert_eq!(format!("{:?}", Cell::lstm()), "lstm");
        assert_ne!(
            format!("{:?}", again("other")),
            format!("{:?}", CellDefinition::new("other", 1).step(|s| [s.gate(0).relu()]).unwrap())
        );
    }
}
