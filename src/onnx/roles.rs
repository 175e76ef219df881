//! Changes to variables of a graph after they were made: an importer learns from later nodes what a constant or a variable is.

use std::sync::Arc;

use crate::graph::{Graph, Node, Tensor};
use crate::ops::{Initial, Op, Role, Variable};

impl Graph {
    /// Makes a variable of a constant, which is its first value. What is no constant stays as it is.
    pub(super) fn promote(&self, constant: &Tensor, name: &str, role: Role) {
        let mut data = self.data();
        let Some(Node { op, .. }) = data.nodes.get_mut(constant.id().node()) else { return };
        let Op::Constant(value) = op else { return };
        let initial = Initial::Values(value.as_ref().clone());
        *op = Op::Variable(Arc::new(Variable { name: name.to_owned(), ty: value.ty().clone(), role, initial }));
        data.names.insert(name.to_owned(), constant.id());
    }

    /// Changes what a variable says of itself, in place.
    fn change(&self, variable: &Tensor, change: impl FnOnce(&mut Variable)) -> Option<(String, String)> {
        let mut data = self.data();
        let Some(Node { op: Op::Variable(known), .. }) = data.nodes.get_mut(variable.id().node()) else {
            return None;
        };
        let old = known.name.clone();
        change(Arc::make_mut(known));
        Some((old, known.name.clone()))
    }

    /// Gives a variable another role.
    pub(super) fn set_role(&self, variable: &Tensor, role: Role) {
        self.change(variable, |variable| variable.role = role);
    }

    /// Gives variables other names, all at once, so that two may swap theirs. No other variable may have one of the new names.
    pub(super) fn rename(&self, names: &[(Tensor, String)]) {
        let changed: Vec<_> =
            names.iter().map(|(tensor, name)| self.change(tensor, |variable| variable.name.clone_from(name))).collect();
        let mut data = self.data();
        for (old, _) in changed.iter().flatten() {
            data.names.remove(old);
        }
        for ((tensor, _), (_, new)) in names.iter().zip(changed).filter_map(|(name, new)| Some((name, new?))) {
            data.names.insert(new, tensor.id());
        }
    }

    /// The name of a variable.
    pub(super) fn variable_name(&self, tensor: &Tensor) -> Option<String> {
        match self.data().nodes.get(tensor.id().node()) {
            Some(Node { op: Op::Variable(variable), .. }) => Some(variable.name.clone()),
            _ => None,
        }
    }
}
