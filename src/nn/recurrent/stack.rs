//! What recurrent layers have in common: layers on top of each other, each gone through in one direction or both.

use super::{Recurrent, RecurrentCell};
use crate::graph::{Graph, Tensor};
use crate::nn::{Dropout, Initializer, Mode, refuse_known};
use crate::ops::{Cell, Initial, RecurrentOptions, Variable};
use crate::tensor::{DType, Shape, TensorType, no_batch_axis};

/// The weights of one layer in one direction, in PyTorch's layout.
#[derive(Clone, Debug)]
pub struct RecurrentWeights {
    /// PyTorch's `weight_ih`, `[gates · hidden, in]`.
    pub input: Tensor,
    /// PyTorch's `weight_hh`, `[gates · hidden, hidden]`.
    pub hidden: Tensor,
    /// PyTorch's `bias_ih` and `bias_hh`, `[gates · hidden]` each.
    pub biases: Option<(Tensor, Tensor)>,
    /// Of a custom cell: the parameters that it defines, `[hidden]` each, in its order.
    pub parameters: Vec<Tensor>,
}

impl RecurrentWeights {
    /// Parameters of a name, with a suffix such as `_l0_reverse`; the graph's own, if it has them already.
    #[track_caller]
    pub(super) fn new(
        g: &Graph,
        name: &str,
        suffix: &str,
        cell: &Cell,
        [inputs, hidden]: [usize; 2],
        bias: bool,
    ) -> Self {
        let (units, rows) = (hidden, cell.gates() * hidden);
        let parameter = |what: &str, shape: Shape| {
            let bound = 1.0 / (hidden.max(1) as f64).sqrt();
            let initial = Initial::Uniform { low: -bound, high: bound };
            Variable::parameter(format!("{name}.{what}{suffix}"), TensorType::new(DType::F32, shape), initial)
        };
        let input = g.variable(parameter("weight_ih", [rows, inputs].into()));
        let hidden = g.variable(parameter("weight_hh", [rows, hidden].into()));
        let mut biases = None;
        if bias {
            let first = g.variable(parameter("bias_ih", [rows].into()));
            biases = Some((first, g.variable(parameter("bias_hh", [rows].into()))));
        }
        let mut parameters = Vec::new();
        for own in cell.parameters() {
            parameters.push(g.variable(parameter(own, [units].into())));
        }
        Self { input, hidden, biases, parameters }
    }

    /// What is wrong with weights for such sizes.
    fn check(&self, cell: &Cell, [inputs, hidden]: [usize; 2], bias: bool) -> Result<(), String> {
        let rows = cell.gates() * hidden;
        let wrong = |what: &str, tensor: &Tensor, wanted: &[usize]| {
            (tensor.shape()[..] != *wanted || tensor.dtype() != self.input.dtype()).then(|| {
                format!(
                    "{what} should be {} of shape {}, and is {}",
                    self.input.dtype(),
                    Shape::from(wanted),
                    tensor.ty()
                )
            })
        };
        if !self.input.dtype().is_float() {
            return Err(format!("weight_ih should be of floats, and is {}", self.input.ty()));
        }
        let mut complaint = wrong("weight_ih", &self.input, &[rows, inputs]);
        complaint = complaint.or_else(|| wrong("weight_hh", &self.hidden, &[rows, hidden]));
        if let Some((first, second)) = &self.biases {
            complaint = complaint.or_else(|| wrong("bias_ih", first, &[rows]));
            complaint = complaint.or_else(|| wrong("bias_hh", second, &[rows]));
        }
        let names = cell.parameters();
        if names.len() != self.parameters.len() {
            let message = format!("takes {names:?} beside its weights, not {} tensors", self.parameters.len());
            complaint = complaint.or(Some(message));
        }
        for (name, parameter) in names.iter().zip(&self.parameters) {
            complaint = complaint.or_else(|| wrong(name, parameter, &[hidden]));
        }
        if bias != self.biases.is_some() {
            complaint = complaint.or_else(|| Some("biases are present or missing against the options".into()));
        }
        complaint.map_or(Ok(()), Err)
    }

    /// What inputs of `[…, in]` contribute to the gates: `[…, gates · hidden]`.
    #[track_caller]
    pub(super) fn gates(&self, x: &Tensor) -> Tensor {
        let precision = x.graph().precision();
        let weight = precision.operand(&self.input).transpose(0, 1);
        let product = precision.operand(x).matmul(&weight).cast(x.dtype());
        precision.round(&match &self.biases {
            Some((first, _)) => product + first,
            None => product,
        })
    }

    pub(super) fn hidden_size(&self) -> usize {
        self.hidden.shape().get(1).copied().unwrap_or(0)
    }
}

/// All layers.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    pub(super) cell: RecurrentCell,
    pub(super) name: String,
    pub(super) input: usize,
    pub(super) hidden: usize,
    pub(super) options: Recurrent,
    pub(super) graph: Graph,
    /// Layer 0, layer 0 reversed, layer 1, …
    pub(super) weights: Vec<RecurrentWeights>,
}

/// Outputs, `[steps, batch, directions · hidden]` or batch first, and the last states: `[layers · directions, batch, hidden]` each.
pub(super) struct Passed {
    pub(super) outputs: Tensor,
    pub(super) last: Vec<Tensor>,
}

impl Stack {
    /// With parameters of its own.
    #[track_caller]
    pub(super) fn new(g: &Graph, cell: RecurrentCell, name: &str, sizes: [usize; 2], options: Recurrent) -> Self {
        refuse_known(g, &label(&cell, name), name, &["weight_ih_l0"]);
        Self::shared(g, cell, name, sizes, options)
    }

    /// With the parameters of its name, if the graph has them already.
    #[track_caller]
    pub(super) fn shared(
        g: &Graph,
        cell: RecurrentCell,
        name: &str,
        [input, hidden]: [usize; 2],
        options: Recurrent,
    ) -> Self {
        let mut stack =
            Self { cell, name: name.to_owned(), input, hidden, options, graph: g.clone(), weights: Vec::new() };
        if let Err(message) = options.check(&stack.cell, hidden) {
            g.mistake(&stack.label(), message);
            return stack;
        }
        for index in 0..stack.directed_layers() {
            let (layer, reverse) = (index / options.directions(), index % options.directions() == 1);
            let suffix = format!("_l{layer}{}", if reverse { "_reverse" } else { "" });
            let sizes = [stack.inputs(index), hidden];
            stack.weights.push(RecurrentWeights::new(g, name, &suffix, &stack.cell(), sizes, options.bias));
        }
        stack
    }

    /// With these weights: layer 0, layer 0 reversed, layer 1, …
    #[track_caller]
    pub(super) fn with_weights(
        g: &Graph,
        cell: RecurrentCell,
        name: &str,
        options: Recurrent,
        weights: Vec<RecurrentWeights>,
    ) -> Self {
        let first = weights.first();
        let input = first.and_then(|weights| weights.input.shape().get(1).copied()).unwrap_or(0);
        let hidden = first.map_or(0, RecurrentWeights::hidden_size);
        let stack = Self { cell, name: name.to_owned(), input, hidden, options, graph: g.clone(), weights };
        if g.error().is_none()
            && let Err(message) = stack.check()
        {
            g.mistake(&stack.label(), message);
        }
        stack
    }

    fn check(&self) -> Result<(), String> {
        self.options.check(&self.cell, self.hidden)?;
        let (found, wanted) = (self.weights.len(), self.directed_layers());
        if found != wanted {
            return Err(format!("takes weights for {wanted} layers and directions, not {found}"));
        }
        for (index, weights) in self.weights.iter().enumerate() {
            weights
                .check(&self.cell(), [self.inputs(index), self.hidden], self.options.bias)
                .map_err(|message| format!("weights {index}: {message}"))?;
        }
        Ok(())
    }

    pub(super) fn label(&self) -> String {
        label(&self.cell, &self.name)
    }

    pub(super) fn cell(&self) -> Cell {
        self.cell.cell(&self.options)
    }

    /// Layers times directions.
    pub(super) fn directed_layers(&self) -> usize {
        self.options.num_layers.saturating_mul(self.options.directions())
    }

    /// Inputs of a layer.
    fn inputs(&self, index: usize) -> usize {
        let directions = self.options.directions();
        if index < directions { self.input } else { self.hidden * directions }
    }

    /// With other first values: of the input's weights, of the state's, of the biases, or of the cell's own.
    #[track_caller]
    pub(super) fn initialize(&self, which: Which, initializer: Initializer) {
        for weights in &self.weights {
            let tensors = match (which, &weights.biases) {
                (Which::Input, _) => vec![&weights.input],
                (Which::Hidden, _) => vec![&weights.hidden],
                (Which::Biases, Some((first, second))) => vec![first, second],
                (Which::Biases, None) => Vec::new(),
                (Which::Own, _) => weights.parameters.iter().collect(),
            };
            for tensor in tensors {
                initializer.apply(tensor, &self.label());
            }
        }
    }

    /// What is wrong with the inputs.
    fn complaint(&self, x: &Tensor, states: &[Option<&Tensor>], lengths: Option<&Tensor>) -> Result<(), String> {
        let ty = x.ty();
        let order = if self.options.batch_first { "batch, steps" } else { "steps, batch" };
        let expected = format!("[{order}, {}]", self.input);
        if ty.shape.rank() == 2 && ty.shape.last() == Some(&self.input) {
            return Err(no_batch_axis(&expected, &ty.shape, usize::from(!self.options.batch_first)));
        }
        let [first, second, width] = ty.shape[..] else {
            return Err(format!("takes [{order}, {}], but its input is {}", self.input, ty.shape));
        };
        if width != self.input {
            return Err(format!("takes [{order}, {}], but its input is {}", self.input, ty.shape));
        }
        let (batch, steps) = if self.options.batch_first { (first, second) } else { (second, first) };
        if batch == 0 || steps == 0 {
            return Err(format!(
                "its input {} ([{order}, in]) has no {}",
                ty.shape,
                if steps == 0 { "steps" } else { "rows" }
            ));
        }
        let dtype = self.weights.first().map_or(DType::F32, |weights| weights.input.dtype());
        if ty.dtype != dtype {
            return Err(format!("takes {dtype}, but its input is {}; cast it", ty.dtype));
        }
        let wanted = Shape::from([self.directed_layers(), batch, self.hidden]);
        let count = self.cell().states();
        for (index, state) in states.iter().enumerate().filter_map(|(index, state)| Some((index, (*state)?))) {
            if index >= count {
                return Err(match &self.cell {
                    RecurrentCell::Kind(_) => "has no cell state; that is for an lstm".into(),
                    RecurrentCell::Custom(_) => format!("has no state {index}; there are {count}, counted from 0"),
                });
            }
            if state.shape() != wanted || state.dtype() != dtype {
                let what = self.cell.state_name(index);
                let what = format!("the first {what} should be {dtype} of shape {wanted}");
                return Err(format!("{what} ([layers · directions, batch, hidden]), and is {}", state.ty()));
            }
        }
        match lengths {
            Some(lengths) if lengths.shape()[..] != [batch] || !matches!(lengths.dtype(), DType::I32 | DType::I64) => {
                Err(format!("lengths should be i32 or i64 of shape [{batch}], and are {}", lengths.ty()))
            }
            _ => Ok(()),
        }
    }

    /// Through all layers, from the states, as far as they are there.
    #[track_caller]
    pub(super) fn forward(
        &self,
        x: &Tensor,
        states: &[Option<&Tensor>],
        lengths: Option<&Tensor>,
        mode: Mode,
    ) -> Passed {
        let _layer = self.graph.in_layer(&self.name);
        if self.graph.error().is_none()
            && let Err(message) = self.complaint(x, states, lengths)
        {
            self.graph.mistake(&self.label(), message);
        }
        if self.graph.error().is_some() {
            let nothing = self.graph.mistake(&self.label(), "follows from an earlier mistake");
            return Passed { outputs: nothing.clone(), last: vec![nothing; self.cell().states()] };
        }
        let cell = self.cell();
        let directions = self.options.directions();
        let mut value = if self.options.batch_first { x.transpose(0, 1) } else { x.clone() };
        let mut last = Vec::new();
        for (layer, weights_of_layer) in self.weights.chunks(directions).enumerate() {
            if layer > 0 {
                value = Dropout::new(self.options.dropout).forward(&value, mode);
            }
            let mut outputs = Vec::new();
            for (direction, weights) in weights_of_layer.iter().enumerate() {
                let initial = self.initial(states, layer * directions + direction);
                let options = RecurrentOptions {
                    cell: cell.clone(),
                    reverse: direction == 1,
                    bias: weights.biases.as_ref().map(|(_, second)| second),
                    parameters: &weights.parameters,
                    initial: initial.as_ref(),
                    lengths,
                };
                let found = weights.gates(&value).recurrent(&weights.hidden, &options);
                outputs.push(found.outputs);
                last.push(found.last);
            }
            value = joined(&outputs, 2);
        }
        let mut states = Vec::new();
        for state in 0..cell.states() {
            let mut parts = Vec::new();
            for last in &last {
                parts.push(last.slice(0, state, state + 1));
            }
            states.push(joined(&parts, 0));
        }
        let outputs = if self.options.batch_first { value.transpose(0, 1) } else { value };
        Passed { outputs, last: states }
    }

    /// The state of a layer and direction before the first step, `[states, batch, hidden]`.
    #[track_caller]
    fn initial(&self, states: &[Option<&Tensor>], index: usize) -> Option<Tensor> {
        let like = *states.iter().flatten().next()?;
        let mut parts = Vec::new();
        for state in 0..self.cell().states() {
            let all = match states.get(state) {
                Some(Some(all)) => Tensor::clone(all),
                Some(None) | None => like.zeros_like(),
            };
            parts.push(all.slice(0, index, index + 1));
        }
        Some(joined(&parts, 0))
    }
}

/// Which weights.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    Input,
    Hidden,
    Biases,
    Own,
}

/// The layer as mistakes name it.
pub(super) fn label(cell: &RecurrentCell, name: &str) -> String {
    format!("{} {name:?}", cell.name())
}

/// Tensors next to each other; one alone as it is.
#[track_caller]
pub(super) fn joined(tensors: &[Tensor], axis: isize) -> Tensor {
    match tensors {
        [one] => one.clone(),
        [first, ..] => first.graph().concat(&tensors.iter().collect::<Vec<_>>(), axis),
        // Never called with none; a placeholder would need a graph.
        [] => Graph::new().mistake("recurrent", "has no layers"),
    }
}
