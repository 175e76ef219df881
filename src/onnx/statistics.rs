//! Running means and variances of batch normalisations. They are no parameters: nothing is learned in them, but a step in training
//! mode leaves new values.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::node::Node;
use super::proto::NodeProto;
use super::value::{Stored, Value};
use crate::graph::Tensor;
use crate::ops::Role;

/// The inputs that hold them, with the outputs of the same kind.
const INDICES: [(usize, usize); 2] = [(3, 1), (4, 2)];

/// The statistics of a graph that is imported.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    /// By the address of the initializer and the name under which it is used.
    own: HashMap<(*const Stored, String), Rc<Stored>>,
    /// The same in the order in which they were met, each with the initializer that it is a part of.
    parts: Vec<(Rc<Stored>, Rc<Stored>)>,
    /// What a training step makes of them.
    pub(super) next: Vec<(Tensor, Tensor)>,
}

/// True for the operator that has running statistics.
pub(super) fn concerns(proto: &NodeProto) -> bool {
    proto.op_type == "BatchNormalization"
}

impl Statistics {
    /// Makes statistics variables of their own. Exporters that find a mean of zeros equal to a bias of zeros store both once, and
    /// here they part again, as only the bias is trained.
    pub(super) fn part(&mut self, proto: &NodeProto, in_main: bool, inputs: &mut [Value]) {
        for (index, _) in INDICES {
            let (Some(Value::Stored(stored)), Some(name)) = (inputs.get(index), proto.input.get(index)) else {
                continue;
            };
            // In the body of a function, names are the function's.
            let name = if in_main { name } else { &stored.name }.clone();
            let parts = &mut self.parts;
            let own = self.own.entry((Rc::as_ptr(stored), name.clone())).or_insert_with(|| {
                let data = Arc::clone(&stored.data);
                let own = Stored { name, role: Role::Buffer, is_constant: false, data, tensor: OnceCell::new() };
                let own = Rc::new(own);
                parts.push((Rc::clone(stored), Rc::clone(&own)));
                own
            });
            let own = Value::Stored(Rc::clone(own));
            if let Some(input) = inputs.get_mut(index) {
                *input = own;
            }
        }
    }

    /// The initializers that statistics are a part of, each with those.
    pub(super) fn parts(&self) -> &[(Rc<Stored>, Rc<Stored>)] {
        &self.parts
    }

    /// Records the next values that a node computes, if it computes any.
    pub(super) fn keep(&mut self, node: &Node<'_>, outputs: &[Value]) {
        for (input, output) in INDICES {
            let Value::Stored(stored) = node.value(input) else { continue };
            if let (Some(variable), Some(Value::Tensor(next))) = (stored.tensor.get(), outputs.get(output))
                && next.ty() == variable.ty()
                && !self.next.iter().any(|(known, _)| known.id() == variable.id())
            {
                self.next.push((variable.clone(), next.clone()));
            }
        }
    }
}
