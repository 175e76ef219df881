//! What the end of an import decides: which constants are weights, what running statistics are, and which variable has an
//! initializer's name.

use std::rc::Rc;

use super::import::Importer;
use super::value::Stored;
use crate::graph::Tensor;
use crate::ops::Role;
use crate::tensor::TensorData;

/// Values by name, and the variables that hold them.
#[derive(Default)]
pub(super) struct Settled {
    pub(super) initializers: Vec<(String, TensorData)>,
    pub(super) variables: Vec<(String, Vec<Tensor>)>,
    /// Weights that stay constant.
    pub(super) untrained: Vec<String>,
}

impl Importer<'_> {
    /// Makes parameters of the constants that are weights (buffers where initializers are the parameters, unless `trains_constants`
    /// says otherwise) and buffers of what is read as running statistics alone, and gives the initializers of the main graph, then
    /// such constants, by their names in the graph.
    pub(super) fn settle(&self, initializers: &[Rc<Stored>], trains_constants: Option<bool>) -> Settled {
        let mut sources: Vec<(String, Rc<Stored>)> = initializers
            .iter()
            .filter(|stored| stored.data.dtype().is_float())
            .map(|stored| (stored.name.clone(), Rc::clone(stored)))
            .collect();
        let statistics = self.statistics.borrow();
        let found = self.weights.borrow().found();
        for (stored, is_statistic) in &found {
            if let (false, true, Some(tensor)) = (stored.is_constant, is_statistic, stored.tensor.get()) {
                self.graph.set_role(tensor, Role::Buffer);
            }
        }
        let trained = trains_constants.unwrap_or_else(|| self.graph.parameters().is_empty());
        let mut settled = Settled::default();
        // With the role that a constant takes, and whether it is a weight that keeps its value.
        let mut constants: Vec<(Rc<Stored>, Option<Role>, bool)> = Vec::new();
        for (stored, is_statistic) in found.into_iter().filter(|(stored, _)| stored.is_constant) {
            let role = if is_statistic || !trained { Role::Buffer } else { Role::Parameter };
            constants.push((stored, Some(role), !is_statistic && !trained));
        }
        for (source, _) in statistics.parts() {
            if source.is_constant && !constants.iter().any(|(known, ..)| Rc::ptr_eq(known, source)) {
                constants.push((Rc::clone(source), None, false));
            }
        }
        for (stored, role, untrained) in constants {
            let parted = statistics.parts().iter().any(|(source, _)| Rc::ptr_eq(source, &stored));
            let name = match (stored.tensor.get(), role) {
                (Some(tensor), Some(role)) => {
                    let name = self.free_name(&stored.name);
                    self.graph.promote(tensor, &name, role);
                    if untrained {
                        settled.untrained.push(name.clone());
                    }
                    name
                }
                _ if parted => stored.name.clone(),
                _ => continue,
            };
            sources.push((name, stored));
        }
        for (name, source) in sources {
            let own = source.tensor.get().filter(|tensor| self.graph.variable_name(tensor).is_some()).cloned();
            let parts = statistics.parts().iter().filter(|(whole, _)| Rc::ptr_eq(whole, &source));
            let parts: Vec<Tensor> = parts.filter_map(|(_, part)| part.tensor.get().cloned()).collect();
            self.name(&name, own.as_ref(), &parts);
            settled.initializers.push((name.clone(), TensorData::clone(&source.data)));
            settled.variables.push((name, own.into_iter().chain(parts).collect()));
        }
        settled
    }

    /// The initializer's name belongs to what is trained of it; where nothing is, to its statistics, if they are one variable.
    fn name(&self, name: &str, own: Option<&Tensor>, parts: &[Tensor]) {
        let known = |tensor: &Tensor| self.graph.variable_name(tensor).unwrap_or_default();
        let holder = parts.iter().find(|part| known(part) == name);
        match (own, parts) {
            (Some(own), _) if known(own) != name => {
                let mut names = vec![(own.clone(), name.to_owned())];
                names.extend(holder.map(|holder| (holder.clone(), known(own))));
                if holder.is_some() || self.graph.find(name).is_none() {
                    self.graph.rename(&names);
                }
            }
            (None, [part]) if self.graph.find(name).is_none() => {
                self.graph.rename(&[(part.clone(), name.to_owned())]);
            }
            _ => {}
        }
    }
}
