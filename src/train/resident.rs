//! Data sets that live on the device. A step's batch is picked there by index, so that only the indices travel.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::graph::{Graph, Tensor};
use crate::ops::{Initial, Role, Variable};
use crate::session::Session;
use crate::tensor::TensorData;

/// The name of the input that picks a batch.
pub(super) const INDEX: &str = "index";

/// What the names of data sets on the device begin with.
const PREFIX: &str = "data/";

/// A data set's names on the device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Resident {
    /// Tells data sets of one session apart.
    key: u64,
}

impl Resident {
    /// The same content has the same name, so that using a data set twice keeps one copy.
    pub(super) fn of(data: &Dataset) -> Self {
        let mut hasher = DefaultHasher::new();
        for (name, column) in data.columns() {
            name.hash(&mut hasher);
            column.ty().hash(&mut hasher);
            column.bytes().hash(&mut hasher);
        }
        Self { key: hasher.finish() }
    }

    fn prefix(&self) -> String {
        format!("{PREFIX}{:016x}/", self.key)
    }

    fn name(&self, column: &str) -> String {
        self.prefix() + column
    }

    /// A column's rows that the graph's index input picks.
    #[track_caller]
    pub(super) fn batch(&self, g: &Graph, column: &str, data: &TensorData, index: &Tensor) -> Tensor {
        let variable = Variable {
            name: self.name(column),
            ty: data.ty().clone(),
            role: Role::Data,
            initial: Initial::Constant(0.0),
        };
        g.variable(variable).take(0, index)
    }

    /// True where every column is a variable of the session already.
    pub(super) fn is_known(&self, session: &Session, data: &Dataset) -> bool {
        data.columns().iter().all(|(name, _)| {
            let name = self.name(name);
            session.variables().iter().any(|variable| variable.name == name)
        })
    }

    /// Brings the columns to the device that a program there uses.
    pub(super) fn upload(&self, session: &mut Session, data: &Dataset) -> Result<()> {
        for (name, column) in data.columns() {
            let name = self.name(name);
            if session.variables().iter().any(|variable| variable.name == name) {
                session.set_parameter(&name, column)?;
            }
        }
        Ok(())
    }
}

/// Lets data sets on the device go that are none of these.
pub(super) fn forget_others(session: &mut Session, sets: &[Resident]) -> Result<()> {
    let prefixes: Vec<String> = sets.iter().map(Resident::prefix).collect();
    let is_other = |name: &str| name.starts_with(PREFIX) && !prefixes.iter().any(|prefix| name.starts_with(prefix));
    let data = session.variables().iter().filter(|variable| variable.role == Role::Data && is_other(&variable.name));
    let names: Vec<String> = data.map(|variable| variable.name.clone()).collect();
    names.iter().try_for_each(|name| session.forget(name))
}

/// The index input's value for some examples.
pub(super) fn index_of(examples: &[usize]) -> Result<TensorData> {
    let indices: Vec<i32> = examples
        .iter()
        .map(|&example| {
            i32::try_from(example)
                .map_err(|_| Error::Data(format!("example {example}: wgrad counts at most 2³¹ examples")))
        })
        .collect::<Result<_>>()?;
    let count = indices.len();
    TensorData::from_vec(indices, [count])
}
