//! Reverse-mode differentiation. It adds ordinary nodes to the same graph, so a gradient can be differentiated again.

use rustc_hash::FxHashMap;

use super::custom::{wrong_decomposition, wrong_gradient};
use super::{Gradient, Graph, Tensor, ValueId};
use crate::ops::Op;
use crate::tensor::TensorType;

impl Graph {
    /// Gradients of the sum of a tensor's elements with respect to others: inputs, parameters or anything between. All are floats.
    /// Returns one for each of `with_respect_to`, in order and of its type; what the tensor does not depend on gets zeros.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", [], F32);
    /// let y = x.pow(3.0);
    /// let first = g.gradients(&y, &[&x]).swap_remove(0);
    /// let second = g.gradients(&first, &[&x]).swap_remove(0);
    /// g.output("second", &second);
    /// let mut session = g.compile(&Device::cpu())?;
    /// let run = session.run(&[("x", &TensorData::scalar(2.0_f32))])?;
    /// assert_eq!(run["second"].item()?, 12.0); // 6x
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn gradients(&self, of: &Tensor, with_respect_to: &[&Tensor]) -> Vec<Tensor> {
        let seed = of.ones_like();
        self.gradients_from(&[(of, &seed)], with_respect_to)
    }

    /// Gradients of Σ (tensor · upstream) over pairs of a tensor and an upstream gradient of its type: the vector–Jacobian product. Returns
    /// what [`gradients`](Self::gradients) does, which has ones as the upstream gradient.
    #[track_caller]
    pub fn gradients_from(&self, of: &[(&Tensor, &Tensor)], with_respect_to: &[&Tensor]) -> Vec<Tensor> {
        let mut pending: FxHashMap<ValueId, Vec<Tensor>> = FxHashMap::default();
        let strange = |tensor: &&Tensor| !tensor.graph().is_same(self);
        if of.iter().flat_map(|(tensor, upstream)| [tensor, upstream]).chain(with_respect_to).any(strange) {
            let mistake = self.mistake("gradients", "a tensor belongs to another graph");
            return vec![mistake; with_respect_to.len()];
        }
        if let Some(other) = with_respect_to.iter().find(|tensor| !tensor.dtype().is_float()) {
            let mistake = self
                .mistake("gradients", format!("a gradient is taken with respect to floats, not to {}", other.dtype()));
            return vec![mistake; with_respect_to.len()];
        }
        for (tensor, upstream) in of {
            if !tensor.dtype().is_float() {
                let message = format!("a gradient is taken of floats, not of {}", tensor.dtype());
                return vec![self.mistake("gradients", message); with_respect_to.len()];
            }
            if tensor.ty() != upstream.ty() {
                let message = format!("the upstream gradient is {}, the tensor {}", upstream.ty(), tensor.ty());
                return vec![self.mistake("gradients", message); with_respect_to.len()];
            }
            pending.entry(tensor.id()).or_default().push((*upstream).clone());
        }
        let reached = self.between(of, with_respect_to);
        let outer = {
            let mut data = self.data();
            (data.origin, data.layer.take())
        };
        let mut found: FxHashMap<ValueId, Tensor> = FxHashMap::default();
        // Nodes are in topological order by construction, so one sweep from the end meets every user before its source.
        for index in (0..reached.len()).rev() {
            if !reached[index] {
                continue;
            }
            let (op, inputs, count) = {
                let mut data = self.data();
                let node = &data.nodes[index];
                let parts = (node.op.clone(), node.inputs.clone(), node.outputs.len());
                let origin = node.origin;
                data.origin = Some(origin);
                parts
            };
            let upstream: Vec<Option<Tensor>> = (0..count as u32)
                .map(|output| {
                    let id = ValueId { node: index as u32, output };
                    let sum = pending.remove(&id).and_then(sum_of)?;
                    found.insert(id, sum.clone());
                    Some(sum)
                })
                .collect();
            if inputs.is_empty() || upstream.iter().all(Option::is_none) {
                continue;
            }
            let handle = |id: ValueId| Tensor::new(self.clone(), id);
            let gradient = Gradient {
                inputs: inputs.iter().map(|&id| handle(id)).collect(),
                outputs: (0..count as u32).map(|output| handle(ValueId { node: index as u32, output })).collect(),
                upstream,
            };
            let first = self.data().nodes.len();
            let parts = self.node_gradient(&op, &gradient);
            self.follow_rounding(index, first);
            for (&input, part) in inputs.iter().zip(parts) {
                if let Some(part) = part.filter(|_| reached[input.node()]) {
                    pending.entry(input).or_default().push(part);
                }
            }
        }
        {
            let mut data = self.data();
            (data.origin, data.layer) = outer;
        }
        with_respect_to
            .iter()
            .map(|tensor| found.get(&tensor.id()).cloned().unwrap_or_else(|| tensor.zeros_like()))
            .collect()
    }

    /// The operator's own rule, or that of its decomposition.
    #[track_caller]
    fn node_gradient(&self, op: &Op, gradient: &Gradient) -> Vec<Option<Tensor>> {
        if let Some(rule) = op.operator().gradient(gradient) {
            return match op {
                Op::Custom(operator) => match wrong_gradient(&rule, gradient) {
                    Some(message) => {
                        self.mistake(&operator.name(), message);
                        vec![None; gradient.inputs.len()]
                    }
                    None => rule,
                },
                _ => rule,
            };
        }
        let types: Vec<TensorType> = gradient.outputs.iter().map(Tensor::ty).collect();
        match op.decomposition(&gradient.inputs, &types) {
            Some(outputs) => {
                if let Some(message) = wrong_decomposition(&outputs, &types) {
                    self.mistake(&op.operator().name(), message);
                    return vec![None; gradient.inputs.len()];
                }
                let pairs: Vec<(&Tensor, &Tensor)> = outputs
                    .iter()
                    .zip(&gradient.upstream)
                    .filter_map(|(output, upstream)| Some((output, upstream.as_ref()?)))
                    .collect();
                let floats: Vec<&Tensor> = gradient.inputs.iter().filter(|input| input.dtype().is_float()).collect();
                let mut parts = self.gradients_from(&pairs, &floats).into_iter();
                gradient.inputs.iter().map(|input| if input.dtype().is_float() { parts.next() } else { None }).collect()
            }
            None => {
                self.mistake(&op.operator().name(), "it has no gradient, and no decomposition that would have one");
                vec![None; gradient.inputs.len()]
            }
        }
    }

    /// The parameters that a tensor's gradient flows to, with their names, in the order in which they were made.
    pub fn parameters_of(&self, tensor: &Tensor) -> Vec<(String, Tensor)> {
        let mut parameters = self.parameters();
        let all: Vec<&Tensor> = parameters.iter().map(|(_, parameter)| parameter).collect();
        let reached = self.between(&[(tensor, tensor)], &all);
        parameters.retain(|(_, parameter)| reached.get(parameter.id().node()) == Some(&true));
        parameters
    }

    /// Which nodes are on a path from `with_respect_to` to `of`.
    fn between(&self, of: &[(&Tensor, &Tensor)], with_respect_to: &[&Tensor]) -> Vec<bool> {
        let data = self.data();
        let len = of.iter().map(|(tensor, _)| tensor.id().node() + 1).max().unwrap_or(0).min(data.nodes.len());
        let mut depends = vec![false; len];
        for tensor in with_respect_to {
            if let Some(flag) = depends.get_mut(tensor.id().node()) {
                *flag = true;
            }
        }
        for index in 0..len {
            let node = &data.nodes[index];
            if !matches!(node.op, Op::StopGradient) && node.inputs.iter().any(|input| depends[input.node()]) {
                depends[index] = true;
            }
        }
        let mut needed = vec![false; len];
        for (tensor, _) in of {
            if let Some(flag) = needed.get_mut(tensor.id().node()) {
                *flag = true;
            }
        }
        for index in (0..len).rev() {
            if needed[index] && !matches!(data.nodes[index].op, Op::StopGradient) {
                data.nodes[index].inputs.iter().for_each(|input| needed[input.node()] = true);
            }
        }
        depends.iter().zip(&needed).map(|(&depends, &needed)| depends && needed).collect()
    }
}

/// The sum of the gradients that arrive on several paths.
fn sum_of(parts: Vec<Tensor>) -> Option<Tensor> {
    parts.into_iter().reduce(|sum, part| &sum + &part)
}
