//! A model's parameters at one moment, on their device: from a session that trains to one that is used meanwhile.

use std::fmt;
use std::sync::Arc;

use super::Session;
use crate::compiler::VariablePlan;
use crate::device::execute::StoreCopy;
use crate::error::{Error, Result};
use crate::ops::Role;

/// All parameters and buffers of a session as they were when it was taken. Its clones share the memory.
///
/// ```
/// use wgrad::prelude::*;
/// let build = |trains: bool| {
///     let g = Graph::new();
///     let x = g.input("x", [1, 2], F32);
///     let y = nn::Linear::new(&g, "fc", 2, 1).forward(&x);
///     g.output("y", &y);
///     if trains { g.minimize(&y.square().mean_all(), SGD::new(0.1)).build() }
///     g
/// };
/// let device = Device::cpu();
/// let (mut trainer, mut user) = (build(true).compile(&device)?, build(false).compile(&device)?);
/// let x = TensorData::from_vec(vec![1.0_f32, 2.0], [1, 2])?;
/// trainer.step(&[("x", &x)])?;
/// let snapshot = trainer.snapshot()?;
/// trainer.step(&[("x", &x)])?; // goes on
/// user.take(&snapshot)?; // perhaps on another thread
/// assert_ne!(user.parameter("fc.weight")?, trainer.parameter("fc.weight")?);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone)]
pub struct Snapshot(Arc<Taken>);

struct Taken {
    variables: Vec<VariablePlan>,
    copy: StoreCopy,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Snapshot of {} variables", self.0.variables.len())
    }
}

fn is_model(variable: &VariablePlan) -> bool {
    matches!(variable.role, Role::Parameter | Role::Buffer)
}

impl Session {
    /// The parameters and buffers as they are now, copied on the device: what runs already is waited for by the device, not by the host.
    ///
    /// # Errors
    /// A step in progress; memory that the device does not have; a device that was lost.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.between_steps()?;
        let variables: Vec<VariablePlan> =
            self.layout.variables.iter().filter(|variable| is_model(variable)).cloned().collect();
        let copy = self.store.copied(&variables.iter().map(|variable| variable.location).collect::<Vec<_>>())?;
        Ok(Snapshot(Arc::new(Taken { variables, copy })))
    }

    /// Takes over parameters and buffers from a snapshot of a session on the same device, by their names, without a copy through the host.
    /// What else the snapshot has is left out.
    ///
    /// # Errors
    /// A parameter or buffer that the snapshot lacks or has with another type; another device; a step in progress. Nothing is changed then.
    pub fn take(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.between_steps()?;
        let Taken { variables, copy } = &*snapshot.0;
        let mut pairs = Vec::new();
        for own in self.layout.variables.iter().filter(|variable| is_model(variable)) {
            let found = variables.iter().position(|other| other.name == own.name);
            match found.map(|index| (index, &variables[index].ty)) {
                Some((index, ty)) if *ty == own.ty => pairs.push((index, own.location)),
                Some((_, ty)) => {
                    let message = format!("the snapshot has {:?} as {ty}, and this session as {}", own.name, own.ty);
                    return Err(Error::Argument(message));
                }
                None => return Err(Error::Argument(format!("the snapshot has no {:?}", own.name))),
            }
        }
        self.store.put(copy, &pairs)?;
        if let Some(kept) = &mut self.kept {
            kept.taken();
        }
        Ok(())
    }
}
