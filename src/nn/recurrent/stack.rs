//! What RNN, LSTM and GRU have in common: layers on top of each other, each gone through in one direction or both.

use super::{Recurrent, RecurrentInputs, RecurrentKind};
use crate::graph::{Graph, Tensor};
use crate::nn::{Dropout, Initializer, Mode, Precision};
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
}

impl RecurrentWeights {
    /// Parameters of a name, with a suffix such as `_l0_reverse`; the graph's own, if it has them already.
    #[track_caller]
    pub(super) fn new(
        g: &Graph,
        name: &str,
        suffix: &str,
        cell: Cell,
        [inputs, hidden]: [usize; 2],
        bias: bool,
    ) -> Self {
        let rows = cell.gates() * hidden;
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
        Self { input, hidden, biases }
    }

    /// What is wrong with weights for such sizes.
    fn check(&self, cell: Cell, [inputs, hidden]: [usize; 2], bias: bool) -> Result<(), String> {
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
        if bias != self.biases.is_some() {
            complaint = complaint.or_else(|| Some("biases are present or missing against the options".into()));
        }
        complaint.map_or(Ok(()), Err)
    }

    /// What inputs of `[…, in]` contribute to the gates: `[…, gates · hidden]`.
    #[track_caller]
    pub(super) fn gates(&self, x: &Tensor) -> Tensor {
        let (weight, dtype) = (&self.input, x.dtype());
        let product = match x.graph().precision() {
            Precision::F32 => x.matmul(&weight.transpose(0, 1)),
            narrow => {
                let narrow = narrow.dtype();
                x.cast(narrow).matmul(&weight.cast(narrow).transpose(0, 1)).cast(dtype)
            }
        };
        match &self.biases {
            Some((first, _)) => product + first,
            None => product,
        }
    }

    pub(super) fn hidden_size(&self) -> usize {
        self.hidden.shape().get(1).copied().unwrap_or(0)
    }
}

/// All layers.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    pub(super) kind: RecurrentKind,
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
    pub(super) fn new(g: &Graph, kind: RecurrentKind, name: &str, sizes: [usize; 2], options: Recurrent) -> Self {
        if g.find(&format!("{name}.weight_ih_l0")).is_some() {
            g.mistake(&label(kind, name), "the name is used already; clone a layer to share its parameters");
        }
        Self::shared(g, kind, name, sizes, options)
    }

    /// With the parameters of its name, if the graph has them already.
    #[track_caller]
    pub(super) fn shared(
        g: &Graph,
        kind: RecurrentKind,
        name: &str,
        [input, hidden]: [usize; 2],
        options: Recurrent,
    ) -> Self {
        let mut stack =
            Self { kind, name: name.to_owned(), input, hidden, options, graph: g.clone(), weights: Vec::new() };
        if let Err(message) = options.check(kind, hidden) {
            g.mistake(&stack.label(), message);
            return stack;
        }
        for index in 0..stack.directed_layers() {
            let (layer, reverse) = (index / options.directions(), index % options.directions() == 1);
            let suffix = format!("_l{layer}{}", if reverse { "_reverse" } else { "" });
            let sizes = [stack.inputs(index), hidden];
            stack.weights.push(RecurrentWeights::new(g, name, &suffix, stack.cell(), sizes, options.bias));
        }
        stack
    }

    /// With these weights: layer 0, layer 0 reversed, layer 1, …
    #[track_caller]
    pub(super) fn with_weights(
        g: &Graph,
        kind: RecurrentKind,
        name: &str,
        options: Recurrent,
        weights: Vec<RecurrentWeights>,
    ) -> Self {
        let first = weights.first();
        let input = first.and_then(|weights| weights.input.shape().get(1).copied()).unwrap_or(0);
        let hidden = first.map_or(0, RecurrentWeights::hidden_size);
        let stack = Self { kind, name: name.to_owned(), input, hidden, options, graph: g.clone(), weights };
        if g.error().is_none()
            && let Err(message) = stack.check()
        {
            g.mistake(&stack.label(), message);
        }
        stack
    }

    fn check(&self) -> Result<(), String> {
        self.options.check(self.kind, self.hidden)?;
        let (found, wanted) = (self.weights.len(), self.directed_layers());
        if found != wanted {
            return Err(format!("takes weights for {wanted} layers and directions, not {found}"));
        }
        for (index, weights) in self.weights.iter().enumerate() {
            weights
                .check(self.cell(), [self.inputs(index), self.hidden], self.options.bias)
                .map_err(|message| format!("weights {index}: {message}"))?;
        }
        Ok(())
    }

    pub(super) fn label(&self) -> String {
        label(self.kind, &self.name)
    }

    pub(super) fn cell(&self) -> Cell {
        self.options.cell(self.kind)
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

    /// With other first values: of the input's weights, of the state's, or of the biases.
    #[track_caller]
    pub(super) fn initialize(&self, which: Which, initializer: Initializer) {
        for weights in &self.weights {
            let tensors = match (which, &weights.biases) {
                (Which::Input, _) => vec![&weights.input],
                (Which::Hidden, _) => vec![&weights.hidden],
                (Which::Biases, Some((first, second))) => vec![first, second],
                (Which::Biases, None) => Vec::new(),
            };
            for tensor in tensors {
                match initializer.initial(&tensor.shape()) {
                    Ok(initial) => self.graph.set_initial(tensor, initial),
                    Err(message) => {
                        self.graph.mistake(&self.label(), message);
                    }
                }
            }
        }
    }

    /// What is wrong with the inputs.
    fn complaint(&self, x: &Tensor, inputs: &RecurrentInputs<'_>) -> Result<(), String> {
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
        let states = [("hidden", inputs.hidden), ("cell", inputs.cell)];
        for (what, state) in states.into_iter().filter_map(|(what, state)| Some((what, state?))) {
            if what == "cell" && self.kind != RecurrentKind::Lstm {
                return Err("has no cell state; that is for an lstm".into());
            }
            if state.shape() != wanted || state.dtype() != dtype {
                let what = format!("the first {what} state should be {dtype} of shape {wanted}");
                return Err(format!("{what} ([layers · directions, batch, hidden]), and is {}", state.ty()));
            }
        }
        match inputs.lengths {
            Some(lengths) if lengths.shape()[..] != [batch] || !matches!(lengths.dtype(), DType::I32 | DType::I64) => {
                Err(format!("lengths should be i32 or i64 of shape [{batch}], and are {}", lengths.ty()))
            }
            _ => Ok(()),
        }
    }

    /// Through all layers.
    #[track_caller]
    pub(super) fn forward(&self, x: &Tensor, inputs: &RecurrentInputs<'_>, mode: Mode) -> Passed {
        let _layer = self.graph.in_layer(&self.name);
        if self.graph.error().is_none()
            && let Err(message) = self.complaint(x, inputs)
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
                let initial = self.initial(inputs, layer * directions + direction);
                let options = RecurrentOptions {
                    cell,
                    reverse: direction == 1,
                    bias: weights.biases.as_ref().map(|(_, second)| second),
                    initial: initial.as_ref(),
                    lengths: inputs.lengths,
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
    fn initial(&self, inputs: &RecurrentInputs<'_>, index: usize) -> Option<Tensor> {
        if self.kind != RecurrentKind::Lstm {
            return Some(inputs.hidden?.slice(0, index, index + 1));
        }
        let (hidden, cell) = match (inputs.hidden, inputs.cell) {
            (None, None) => return None,
            (Some(hidden), None) => (hidden.clone(), hidden.zeros_like()),
            (None, Some(cell)) => (cell.zeros_like(), cell.clone()),
            (Some(hidden), Some(cell)) => (hidden.clone(), cell.clone()),
        };
        Some(joined(&[hidden.slice(0, index, index + 1), cell.slice(0, index, index + 1)], 0))
    }
}

/// Which weights.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    Input,
    Hidden,
    Biases,
}

/// The layer as mistakes name it.
pub(super) fn label(kind: RecurrentKind, name: &str) -> String {
    format!("{} {name:?}", kind.name())
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
