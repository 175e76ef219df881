//! The variables of a session's store.

use super::Session;
use super::transfer::{put, received};
use crate::compiler::{Location, VariablePlan};
use crate::error::{Error, Result};
use crate::ops::Role;
use crate::tensor::TensorData;
use crate::waiting::block_on;

impl Session {
    /// All variables of the store, in the order in which they were allocated.
    pub fn variables(&self) -> &[VariablePlan] {
        &self.layout.variables
    }

    pub(super) fn find(&self, name: &str) -> Result<&VariablePlan> {
        self.layout.find(name).ok_or_else(|| {
            let mut names: Vec<&str> = self
                .layout
                .variables
                .iter()
                .filter(|variable| variable.role == Role::Parameter)
                .map(|variable| variable.name.as_str())
                .collect();
            names.truncate(12);
            Error::Argument(format!("there is no variable {name:?}; parameters are {names:?}"))
        })
    }

    /// Names and values of all parameters and buffers, in the order in which they were allocated. Each is read when its turn comes,
    /// and may be an error of the device.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// g.output("y", &nn::Linear::new(&g, "fc", 4, 2).forward(&g.input("x", [1, 4], F32)));
    /// let session = g.compile(&Device::cpu())?;
    /// let count: usize = session.parameters().map(|parameter| Ok(parameter?.1.len())).sum::<Result<usize>>()?;
    /// assert_eq!(count, 4 * 2 + 2);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn parameters(&self) -> impl Iterator<Item = Result<(&str, TensorData)>> {
        let variables = self.layout.variables.iter();
        variables
            .filter(|variable| matches!(variable.role, Role::Parameter | Role::Buffer))
            .map(|variable| Ok((variable.name.as_str(), self.parameter(&variable.name)?)))
    }

    /// The value of any variable now: a parameter, buffer, state or data. Waits until it is there.
    ///
    /// # Errors
    /// An unknown name; a device that fails.
    pub fn parameter(&self, name: &str) -> Result<TensorData> {
        block_on(self.parameter_async(name))
    }

    /// As [`parameter`](Self::parameter), without blocking.
    ///
    /// # Errors
    /// As there.
    pub async fn parameter_async(&self, name: &str) -> Result<TensorData> {
        self.find(name)?;
        let mut values = self.values_async(|variable| variable.name == name).await?;
        values.pop().map(|(_, value)| value).ok_or_else(|| Error::Device(format!("variable {name:?} was not read")))
    }

    /// The variables that are wanted with their names, in the order in which they were allocated: read all at once.
    pub(crate) async fn values_async(
        &self,
        wanted: impl Fn(&VariablePlan) -> bool,
    ) -> Result<Vec<(String, TensorData)>> {
        self.between_steps()?;
        self.submitted().await?;
        self.unchecked.settle().await?;
        let found: Vec<&VariablePlan> = self.layout.variables.iter().filter(|variable| wanted(variable)).collect();
        let locations: Vec<Location> = found.iter().map(|variable| variable.location).collect();
        let values = self.store.start_read(&locations)?.arrive().await?;
        let typed = found
            .iter()
            .zip(&values)
            .map(|(variable, bytes)| Ok((variable.name.clone(), received(&variable.ty, variable.stored, bytes)?)));
        typed.collect()
    }

    /// Replaces the value of any variable by one of the same type and shape.
    ///
    /// # Errors
    /// An unknown name; a value of another type; a device that fails.
    pub fn set_parameter(&mut self, name: &str, value: &TensorData) -> Result<()> {
        self.between_steps()?;
        let variable = &self.find(name)?.clone();
        if variable.ty != *value.ty() {
            return Err(Error::Argument(format!("variable {name:?} is {}, but {} was given", variable.ty, value.ty())));
        }
        put(&mut self.store, variable, value)?;
        if let Some(kept) = &mut self.kept {
            kept.changed(variable, value);
        }
        Ok(())
    }
}
