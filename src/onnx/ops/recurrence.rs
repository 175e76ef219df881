//! RNN, GRU and LSTM. What the engine's fused sequences can, they do; other activations, clipping and peepholes are unrolled, a
//! step after the other.

use super::wide::{wide, wide_input, wide_optional};
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::{Cell, RecurrentOptions};
use crate::tensor::DType;

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("GRU", |node| layer(node, Kind::Gru)),
    ("LSTM", |node| layer(node, Kind::Lstm)),
    ("RNN", |node| layer(node, Kind::Rnn)),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rnn,
    Gru,
    Lstm,
}

impl Kind {
    const fn gates(self) -> usize {
        match self {
            Self::Rnn => 1,
            Self::Gru => 3,
            Self::Lstm => 4,
        }
    }

    /// The activations of one direction where none are named.
    const fn activations(self) -> &'static [&'static str] {
        match self {
            Self::Rnn => &["Tanh"],
            Self::Gru => &["Sigmoid", "Tanh"],
            Self::Lstm => &["Sigmoid", "Tanh", "Tanh"],
        }
    }

    /// ONNX's gates in the engine's order: of an LSTM i, o, f, c become i, f, c, o; of a GRU z, r, h become r, z, h.
    const fn order(self) -> &'static [usize] {
        match self {
            Self::Rnn => &[0],
            Self::Gru => &[1, 0, 2],
            Self::Lstm => &[0, 2, 3, 1],
        }
    }
}

/// A function with the numbers that it takes.
#[derive(Clone, Debug)]
struct Activation {
    name: String,
    alpha: f64,
    beta: f64,
}

impl Activation {
    /// A name in lower case with its numbers.
    fn new(node: &Node<'_>, name: &str, alpha: Option<f32>, beta: Option<f32>) -> Result<Self> {
        let name = name.to_ascii_lowercase();
        let (first, second) = match &*name {
            "relu" | "tanh" | "sigmoid" | "softsign" | "softplus" => (0.0, 0.0),
            "affine" => (1.0, 0.0),
            "leakyrelu" => (0.01, 0.0),
            "thresholdedrelu" | "elu" => (1.0, 0.0),
            "scaledtanh" => (1.0, 1.0),
            "hardsigmoid" => (0.2, 0.5),
            other => return Err(node.error(format!("activation {other:?} is not known"))),
        };
        Ok(Self { name, alpha: alpha.map_or(first, f64::from), beta: beta.map_or(second, f64::from) })
    }

    fn apply(&self, x: &Tensor) -> Tensor {
        let Self { alpha, beta, .. } = *self;
        match &*self.name {
            "relu" => x.relu(),
            "tanh" => x.tanh(),
            "sigmoid" => x.sigmoid(),
            "softsign" => x.softsign(),
            "softplus" => x.softplus(),
            "leakyrelu" => x.leaky_relu(alpha),
            "thresholdedrelu" => x.ge(alpha).select(x, x.zeros_like()),
            "elu" => x.elu(alpha),
            "scaledtanh" => (x * beta).tanh() * alpha,
            "hardsigmoid" => (x * alpha + beta).clamp(0.0, 1.0),
            _ => x * alpha + beta,
        }
    }

    fn takes(name: &str) -> (bool, bool) {
        match &*name.to_ascii_lowercase() {
            "affine" | "scaledtanh" | "hardsigmoid" => (true, true),
            "leakyrelu" | "thresholdedrelu" | "elu" => (true, false),
            _ => (false, false),
        }
    }
}

/// The activations of all directions. The lists of numbers continue from one activation that takes such a number to the next.
fn activations(node: &Node<'_>, kind: Kind, directions: usize) -> Result<Vec<Activation>> {
    let wanted = directions * kind.activations().len();
    let names = match node.strings("activations")? {
        Some(names) if names.len() == wanted => names,
        Some(names) => return Err(node.error(format!("wants {wanted} activations, not {names:?}"))),
        None => kind.activations().iter().copied().cycle().take(wanted).collect(),
    };
    let alphas = node.floats("activation_alpha")?.unwrap_or_default();
    let betas = node.floats("activation_beta")?.unwrap_or_default();
    let (mut of_alpha, mut of_beta) = (0, 0);
    let mut found = Vec::with_capacity(wanted);
    for name in &names {
        let (takes_alpha, takes_beta) = Activation::takes(name);
        let pick = |values: &[f32], next: &mut usize, takes: bool| {
            let value = values.get(*next).copied().filter(|_| takes);
            *next += usize::from(takes);
            value
        };
        let (alpha, beta) = (pick(alphas, &mut of_alpha, takes_alpha), pick(betas, &mut of_beta, takes_beta));
        found.push(Activation::new(node, name, alpha, beta)?);
    }
    Ok(found)
}

/// A layer's numbers.
struct Layer<'a> {
    node: &'a Node<'a>,
    kind: Kind,
    steps: usize,
    batch: usize,
    hidden: usize,
    /// `[steps, batch, input]`
    x: Tensor,
    lengths: Option<Tensor>,
    /// Whether a sequence has no steps at all, which the engine's passes do not know.
    some_empty: bool,
    clip: Option<f64>,
    linear_before_reset: bool,
    input_forget: bool,
}

/// One direction's weights and states.
struct Direction {
    reverse: bool,
    /// `[gates · hidden, input]` and `[gates · hidden, hidden]`, with ONNX's order of gates.
    input_weight: Tensor,
    state_weight: Tensor,
    /// `[gates · hidden]`
    input_bias: Option<Tensor>,
    state_bias: Option<Tensor>,
    /// `[batch, hidden]`
    hidden: Option<Tensor>,
    cell: Option<Tensor>,
    /// `[3 · hidden]`: i, o, f.
    peepholes: Option<Tensor>,
    activations: Vec<Activation>,
}

/// What comes of a direction: `[steps, batch, hidden]`, and the last states `[batch, hidden]`.
struct Found {
    outputs: Tensor,
    hidden: Tensor,
    cell: Option<Tensor>,
}

fn layer(node: &Node<'_>, kind: Kind) -> Result<Vec<Value>> {
    let (x, dtype) = wide_input(node, 0)?;
    let batch_first = node.flag("layout", false)?;
    let x = if batch_first && x.rank() == 3 { x.transpose(0, 1) } else { x };
    let (weight, state_weight) = (wide(&node.input(1)?), wide(&node.input(2)?));
    let shape = x.shape();
    let (&[steps, batch, input], &[directions, _, hidden]) = (shape.dims(), state_weight.shape().dims()) else {
        return Err(
            node.error(format!("input {shape} and weight {} should have three dimensions", state_weight.shape()))
        );
    };
    let named = match node.string("direction", "forward")? {
        "forward" => vec![false],
        "reverse" => vec![true],
        "bidirectional" => vec![false, true],
        other => {
            return Err(node.error(format!("direction should be forward, reverse or bidirectional, not {other:?}")));
        }
    };
    let expect = |tensor: &Tensor, what: &str, wanted: &[usize]| {
        if tensor.shape().dims() == wanted {
            return Ok(());
        }
        Err(node.error(format!("{what} should be {wanted:?}, not {}", tensor.shape())))
    };
    let width = kind.gates() * hidden;
    expect(&weight, "the input's weight", &[named.len(), width, input])?;
    expect(&state_weight, "the state's weight", &[named.len(), width, hidden])?;
    if steps == 0 || batch == 0 || hidden == 0 || directions == 0 {
        return Err(node.error(format!("input {shape} has no steps, no batch or no units")));
    }
    let checked = |input: usize, what: &str, wanted: &[usize]| -> Result<Option<Tensor>> {
        let Some(tensor) = wide_optional(node, input)? else { return Ok(None) };
        expect(&tensor, what, wanted)?;
        Ok(Some(tensor))
    };
    let state = |input: usize| -> Result<Option<Tensor>> {
        let wanted = if batch_first { [batch, directions, hidden] } else { [directions, batch, hidden] };
        let state = checked(input, "the initial state", &wanted)?;
        Ok(if batch_first { state.map(|state| state.transpose(0, 1)) } else { state })
    };
    let bias = checked(3, "the bias", &[directions, 2 * width])?;
    let (initial_hidden, initial_cell, peepholes) = match kind {
        Kind::Lstm => (state(5)?, state(6)?, checked(7, "the peepholes' weight", &[directions, 3 * hidden])?),
        _ => (state(5)?, None, None),
    };
    let mut some_empty = false;
    let lengths = match node.optional(4)? {
        Some(lengths) => {
            expect(&lengths, "sequence_lens", &[batch])?;
            let known = if node.is_constant(4) { Some(node.host_ints(4)?) } else { None };
            if let Some(length) = known.iter().flatten().find(|length| !(0..=steps as i64).contains(length)) {
                return Err(node.error(format!("a sequence of {length} steps is not one of up to {steps}")));
            }
            some_empty = known.iter().flatten().any(|&length| length == 0);
            // Where all sequences are whole, nobody has to look.
            let whole = known.is_some_and(|known| known.iter().all(|&length| length == steps as i64));
            (!whole).then(|| lengths.cast(DType::I32))
        }
        None => None,
    };
    let all = activations(node, kind, directions)?;
    let each = kind.activations().len();
    let layer = Layer {
        node,
        kind,
        steps,
        batch,
        hidden,
        x,
        lengths,
        some_empty,
        clip: node.optional_float("clip")?.filter(|&clip| clip > 0.0),
        linear_before_reset: node.flag("linear_before_reset", false)?,
        input_forget: node.flag("input_forget", false)?,
    };
    let mut found = Vec::new();
    for (index, (reverse, activations)) in named.into_iter().zip(all.chunks(each)).enumerate() {
        let of = |tensor: &Tensor| tensor.at(0, index);
        let half = |second: usize| bias.as_ref().map(|bias| of(bias).slice(0, second * width, (second + 1) * width));
        found.push(layer.run(&Direction {
            reverse,
            input_weight: of(&weight),
            state_weight: of(&state_weight),
            input_bias: half(0),
            state_bias: half(1),
            hidden: initial_hidden.as_ref().map(of),
            cell: initial_cell.as_ref().map(of),
            peepholes: peepholes.as_ref().map(of),
            activations: activations.to_vec(),
        })?);
    }
    let stacked = |pick: fn(&Found) -> Option<&Tensor>, axis: isize| {
        let tensors: Vec<&Tensor> = found.iter().filter_map(pick).collect();
        (!tensors.is_empty()).then(|| node.graph().stack(&tensors, axis))
    };
    node.check()?;
    let outputs = [
        stacked(|found| Some(&found.outputs), 1).map(|y| if batch_first { y.permute(&[2, 0, 1, 3]) } else { y }),
        stacked(|found| Some(&found.hidden), 0).map(|state| if batch_first { state.transpose(0, 1) } else { state }),
        stacked(|found| found.cell.as_ref(), 0).map(|state| if batch_first { state.transpose(0, 1) } else { state }),
    ];
    Ok(outputs.into_iter().flatten().map(|tensor| tensor.cast(dtype).into()).collect())
}

impl Layer<'_> {
    /// The engine's cell that does the same, if there is one.
    fn cell(&self, direction: &Direction) -> Option<Cell> {
        let names: Vec<&str> = direction.activations.iter().map(|activation| &*activation.name).collect();
        if self.clip.is_some() || direction.peepholes.is_some() || self.input_forget || self.some_empty {
            return None;
        }
        match (self.kind, &names[..]) {
            (Kind::Rnn, ["tanh"]) => Some(Cell::tanh()),
            (Kind::Rnn, ["relu"]) => Some(Cell::relu()),
            (Kind::Gru, ["sigmoid", "tanh"]) if self.linear_before_reset => Some(Cell::gru()),
            (Kind::Gru, ["sigmoid", "tanh"]) => Some(Cell::gru_reset_before()),
            (Kind::Lstm, ["sigmoid", "tanh", "tanh"]) => Some(Cell::lstm()),
            _ => None,
        }
    }

    fn run(&self, direction: &Direction) -> Result<Found> {
        match self.cell(direction) {
            Some(cell) => self.fused(cell, direction),
            None => self.unrolled(direction),
        }
    }

    /// Rows of gates in the engine's order.
    fn ordered(&self, tensor: &Tensor) -> Tensor {
        let order = self.kind.order();
        if order.len() == 1 {
            return tensor.clone();
        }
        let parts: Vec<Tensor> =
            order.iter().map(|&gate| tensor.slice(0, gate * self.hidden, (gate + 1) * self.hidden)).collect();
        self.node.graph().concat(&parts.iter().collect::<Vec<_>>(), 0)
    }

    /// What the inputs contribute to the gates, `[steps, batch, gates · hidden]`.
    fn gates(&self, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let (rows, width) = (self.steps * self.batch, self.kind.gates() * self.hidden);
        let input = self.x.shape().last().copied().unwrap_or(0);
        let product = self.x.reshape([rows, input]).matmul(&weight.transpose(0, 1));
        let gates = if let Some(bias) = bias { product + bias } else { product };
        gates.reshape([self.steps, self.batch, width])
    }

    fn zeros(&self) -> Tensor {
        self.node.graph().scalar(self.x.dtype(), 0.0).broadcast_to([self.batch, self.hidden])
    }

    fn fused(&self, cell: Cell, direction: &Direction) -> Result<Found> {
        let graph = self.node.graph();
        let bias = |bias: &Option<Tensor>| bias.as_ref().map(|bias| self.ordered(bias));
        let gates = self.gates(&self.ordered(&direction.input_weight), bias(&direction.input_bias).as_ref());
        let state_bias = bias(&direction.state_bias);
        let initial = match (&direction.hidden, &direction.cell) {
            (None, None) => None,
            (hidden, cell_state) => {
                let or_zeros = |state: &Option<Tensor>| state.clone().unwrap_or_else(|| self.zeros());
                let (hidden, cell_state) = (or_zeros(hidden), or_zeros(cell_state));
                let states = if cell.states() == 2 { vec![&hidden, &cell_state] } else { vec![&hidden] };
                Some(graph.stack(&states, 0))
            }
        };
        let options = RecurrentOptions {
            cell: cell.clone(),
            reverse: direction.reverse,
            bias: state_bias.as_ref(),
            parameters: &[],
            initial: initial.as_ref(),
            lengths: self.lengths.as_ref(),
        };
        let found = gates.recurrent(&self.ordered(&direction.state_weight), &options);
        self.node.check()?;
        let cell_state = (cell.states() == 2).then(|| found.last.at(0, 1));
        Ok(Found { outputs: found.outputs, hidden: found.last.at(0, 0), cell: cell_state })
    }

    /// What a gate's function gets.
    fn clipped(&self, x: Tensor) -> Tensor {
        match self.clip {
            Some(clip) => x.clamp(-clip, clip),
            None => x,
        }
    }

    fn unrolled(&self, direction: &Direction) -> Result<Found> {
        let gates = self.gates(&direction.input_weight, direction.input_bias.as_ref());
        let mut hidden = direction.hidden.clone().unwrap_or_else(|| self.zeros());
        let mut cell = direction.cell.clone().unwrap_or_else(|| self.zeros());
        let mut outputs = vec![self.zeros(); self.steps];
        let order: Vec<usize> =
            if direction.reverse { (0..self.steps).rev().collect() } else { (0..self.steps).collect() };
        for step in order {
            let (next, next_cell) = self.step(direction, &gates.at(0, step), &hidden, &cell);
            self.node.check()?;
            let (output, state, state_cell) = match &self.lengths {
                Some(lengths) => {
                    let active = lengths.gt(step as i32).reshape([self.batch, 1]);
                    (
                        active.select(&next, self.zeros()),
                        active.select(&next, &hidden),
                        active.select(&next_cell, &cell),
                    )
                }
                None => (next.clone(), next, next_cell),
            };
            if let Some(entry) = outputs.get_mut(step) {
                *entry = output;
            }
            (hidden, cell) = (state, state_cell);
        }
        let outputs = self.node.graph().stack(&outputs.iter().collect::<Vec<_>>(), 0);
        Ok(Found { outputs, hidden, cell: (self.kind == Kind::Lstm).then_some(cell) })
    }

    /// One step: the next hidden state, and the next cell state of an LSTM.
    fn step(&self, direction: &Direction, x: &Tensor, hidden: &Tensor, cell: &Tensor) -> (Tensor, Tensor) {
        let size = self.hidden;
        let gate = |tensor: &Tensor, gate: usize| tensor.slice(1, gate * size, (gate + 1) * size);
        let rows = |tensor: &Tensor, from: usize, to: usize| tensor.slice(0, from * size, to * size);
        let product = |from: usize, to: usize, state: &Tensor| {
            let product = state.matmul(&rows(&direction.state_weight, from, to).transpose(0, 1));
            match &direction.state_bias {
                Some(bias) => product + rows(bias, from, to),
                None => product,
            }
        };
        let activation =
            |index: usize, x: Tensor| direction.activations.get(index).map_or_else(|| x.clone(), |f| f.apply(&x));
        let act = |index: usize, x: Tensor| activation(index, self.clipped(x));
        match self.kind {
            Kind::Rnn => (act(0, x + product(0, 1, hidden)), cell.clone()),
            Kind::Gru => {
                let recurrent = product(0, 2, hidden);
                let z = act(0, gate(x, 0) + gate(&recurrent, 0));
                let r = act(0, gate(x, 1) + gate(&recurrent, 1));
                let inner =
                    if self.linear_before_reset { &r * product(2, 3, hidden) } else { product(2, 3, &(&r * hidden)) };
                let new = act(1, gate(x, 2) + inner);
                (&new + &z * (hidden - &new), cell.clone())
            }
            Kind::Lstm => {
                let sum = x + product(0, 4, hidden);
                let peep = |index: usize, state: &Tensor, sum: Tensor| match &direction.peepholes {
                    Some(weights) => sum + rows(weights, index, index + 1) * state,
                    None => sum,
                };
                let i = act(0, peep(0, cell, gate(&sum, 0)));
                let f = if self.input_forget { 1.0 - &i } else { act(0, peep(2, cell, gate(&sum, 2))) };
                let c = act(1, gate(&sum, 3));
                let next = &f * cell + &i * c;
                let o = act(0, peep(1, &next, gate(&sum, 1)));
                (o * activation(2, next.clone()), next)
            }
        }
    }
}
