//! Recurrent layers. The engine's operator begins behind the product of the inputs; ONNX's have it within. Where that product
//! stands before the operator, as layers build it, it is exported; else the gates themselves are the inputs, with an identity
//! instead of the weight.

use super::writer::{Writer, int, string, strings};
use crate::graph::{Node, ValueId};
use crate::ops::{BuiltIn, Op, Pass, Recurrent};
use crate::scalar::ScalarFunction;
use crate::tensor::{DType, TensorData};

/// What the gates are a product of: inputs `[steps, batch, features]`, a weight `[features, gates]`, and a bias.
struct Product {
    x: String,
    weight: String,
    bias: Option<String>,
}

/// The engine's gates in ONNX's order: i, f, g, o as i, o, f, g; r, z, n as z, r, n.
const fn order(cell: BuiltIn) -> &'static [usize] {
    match cell {
        BuiltIn::Tanh | BuiltIn::Relu => &[0],
        BuiltIn::Lstm => &[0, 3, 1, 2],
        BuiltIn::Gru | BuiltIn::GruResetBefore => &[1, 0, 2],
    }
}

impl Writer<'_> {
    /// A pass over a sequence, forwards in differentiation's sense.
    ///
    /// # Errors
    /// The backward pass, and what is saved for it.
    pub(super) fn recurrent(
        &mut self,
        recurrent: &Recurrent,
        index: usize,
        node: &Node,
        inputs: &[&str],
    ) -> Result<Vec<String>, String> {
        let Pass::Forward { bias, initial, lengths } = recurrent.pass else {
            return Err("it only occurs in gradients, which are not exported".into());
        };
        let read = |output: u32| self.read.contains(&ValueId { node: index as u32, output });
        let (outputs, last, saved) = (read(0), read(1), read(2));
        if saved {
            return Err("what it keeps for gradients is read, and ONNX does not give it".into());
        }
        let message = |error: crate::error::Error| error.to_string();
        let gates = recurrent.cell.gates();
        let Some(cell) = recurrent.cell.built_in() else {
            let name = recurrent.cell.name();
            return Err(format!("{name:?} is a cell of one's own, for which ONNX has no operator"));
        };
        let ty = self.input_type(node, 0).map_err(message)?;
        let [steps, batch, width] = ty.shape.dims() else { return Err(format!("its gates are of shape {}", ty.shape)) };
        let hidden = width / gates;
        let mut rest = inputs.iter().copied().skip(2);
        let mut take = |there: bool| if there { rest.next() } else { None };
        let (state_bias, initial, lengths) = (take(bias), take(initial), take(lengths));
        let (gates, weight) = (inputs.first().copied().unwrap_or_default(), inputs.get(1).copied().unwrap_or_default());
        let product = match self.product(node, *steps, *batch) {
            Some(product) => product,
            None => {
                let mut identity = vec![0.0; width * width];
                identity.iter_mut().step_by(width + 1).for_each(|one| *one = 1.0);
                let identity = TensorData::from_f64(ty.dtype, &identity, [*width, *width]).map_err(message)?;
                Product { x: gates.to_owned(), weight: self.constant(&identity), bias: None }
            }
        };
        let (w, r) = (self.transposed(cell, &product.weight, hidden), self.transposed(cell, weight, hidden));
        let zeros = TensorData::zeros(ty.dtype, [*width]);
        let bias = if product.bias.is_none() && state_bias.is_none() {
            String::new()
        } else {
            let parts = [product.bias.as_deref(), state_bias].map(|part| match part {
                Some(part) => part.to_owned(),
                None => self.constant(&zeros),
            });
            let parts = parts.map(|part| self.ordered(cell, &part, hidden));
            let joined = self.add("Concat", &[&parts[0], &parts[1]], [int("axis", 0)]);
            self.reshape(&joined, &[1, 2 * width])
        };
        let lengths = lengths.map_or_else(String::new, |lengths| self.cast(lengths, DType::I32));
        let mut states = vec![String::new(); recurrent.cell.states()];
        if let Some(initial) = initial {
            for (index, state) in states.iter_mut().enumerate() {
                *state = self.slice(initial, 0, index as i64, index as i64 + 1);
            }
        }
        let mut operands = vec![product.x.as_str(), &w, &r, &bias, &lengths];
        operands.extend(states.iter().map(String::as_str));
        while operands.last().is_some_and(|name| name.is_empty()) {
            operands.pop();
        }
        let direction = if recurrent.reverse { "reverse" } else { "forward" };
        let mut attributes = vec![int("hidden_size", hidden as i64), string("direction", direction)];
        let name = match cell {
            BuiltIn::Lstm => "LSTM",
            BuiltIn::Gru | BuiltIn::GruResetBefore => {
                attributes.push(int("linear_before_reset", (cell == BuiltIn::Gru).into()));
                "GRU"
            }
            BuiltIn::Tanh | BuiltIn::Relu => {
                attributes.push(strings("activations", &[if cell == BuiltIn::Tanh { "Tanh" } else { "Relu" }]));
                "RNN"
            }
        };
        let mut wanted = vec![outputs];
        wanted.extend(vec![last; recurrent.cell.states()]);
        let found = self.add_many(name, &operands, &wanted, attributes);
        let mut found = found.into_iter();
        let y = found.next().filter(|name| !name.is_empty());
        let y = y.map_or_else(String::new, |y| self.reshape(&y, &[*steps, *batch, hidden]));
        let states: Vec<String> = found.filter(|name| !name.is_empty()).collect();
        let states = match states.as_slice() {
            [hidden, cell] => self.add("Concat", &[hidden, cell], [int("axis", 0)]),
            [hidden] => hidden.clone(),
            _ => String::new(),
        };
        Ok(vec![y, states, String::new()])
    }

    /// A weight `[n, gates · hidden]` as ONNX has it: `[1, gates · hidden, n]`, with its gates in ONNX's order.
    fn transposed(&mut self, cell: BuiltIn, weight: &str, hidden: usize) -> String {
        let transposed = self.add("Transpose", &[weight], [super::writer::ints("perm", [1, 0])]);
        let transposed = self.ordered(cell, &transposed, hidden);
        let axis = self.list([0]);
        self.call("Unsqueeze", &[&transposed, &axis])
    }

    /// Rows of gates in ONNX's order.
    fn ordered(&mut self, cell: BuiltIn, rows: &str, hidden: usize) -> String {
        let order = order(cell);
        if order.len() == 1 {
            return rows.to_owned();
        }
        let indices = order.iter().flat_map(|&gate| gate * hidden..(gate + 1) * hidden).map(|row| row as i64);
        let indices = self.list(indices);
        self.add("Gather", &[rows, &indices], [int("axis", 0)])
    }

    /// The product that gates are, as a layer builds it: reshape(x) · w, reshaped, plus a bias.
    fn product(&mut self, node: &Node, steps: usize, batch: usize) -> Option<Product> {
        let gates = *node.inputs.first()?;
        let mut value = gates;
        let mut bias = None;
        let width = *self.ty(gates).shape.last()?;
        if let Some(sum) = self.source(value)
            && sum.op.function() == Some(ScalarFunction::Add)
        {
            let [left, right] = sum.inputs.as_slice() else { return None };
            let vector = |value: ValueId| {
                let expanded = self.source(value).filter(|node| matches!(node.op, Op::Broadcast(_)))?;
                let small = *expanded.inputs.first()?;
                (self.ty(small).shape.dims() == [width]).then_some(small)
            };
            let (rest, small) = match (vector(*left), vector(*right)) {
                (_, Some(small)) => (*left, small),
                (Some(small), _) => (*right, small),
                _ => return None,
            };
            bias = Some(self.name(small).ok()?);
            value = rest;
        }
        while let Some(reshape) = self.source(value)
            && matches!(reshape.op, Op::Reshape(_))
        {
            value = *reshape.inputs.first()?;
        }
        let product = self.source(value)?;
        let (Op::Matmul(matmul), [left, right], 0) = (&product.op, product.inputs.as_slice(), value.output) else {
            return None;
        };
        let (rows, weight) = (self.ty(*left).shape, self.ty(*right).shape);
        let features = *rows.last()?;
        let flat = !matmul.row_sums && rows.dims() == [steps * batch, features] && weight.dims() == [features, width];
        if !flat {
            return None;
        }
        let (x, weight) = (self.name(*left).ok()?, self.name(*right).ok()?);
        Some(Product { x: self.reshape(&x, &[steps, batch, features]), weight, bias })
    }
}
