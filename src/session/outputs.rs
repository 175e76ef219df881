//! What a run returns.

use std::collections::BTreeMap;
use std::ops::Index;

use super::overflow::Watch;
use super::recordings::Before;
use super::transfer::received;
use crate::compiler::Port;
use crate::device::execute::Arrival;
use crate::error::Result;
use crate::tensor::TensorData;
use crate::waiting::block_on;

/// A program's results by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs(pub(super) BTreeMap<String, TensorData>);

impl Outputs {
    /// The result of a name, if the graph has one.
    pub fn get(&self, name: &str) -> Option<&TensorData> {
        self.0.get(name)
    }

    /// Removes and returns the result of a name, without a copy.
    pub fn take(&mut self, name: &str) -> Option<TensorData> {
        self.0.remove(name)
    }

    /// All results with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &TensorData)> {
        self.0.iter().map(|(name, data)| (name.as_str(), data))
    }
}

impl FromIterator<(String, TensorData)> for Outputs {
    fn from_iter<I: IntoIterator<Item = (String, TensorData)>>(results: I) -> Self {
        Self(results.into_iter().collect())
    }
}

impl Index<&str> for Outputs {
    type Output = TensorData;
    /// # Panics
    /// Where the graph has no such output; [`Outputs::get`] does not.
    fn index(&self, name: &str) -> &TensorData {
        &self.0[name]
    }
}

/// Outputs of a step that are read later.
pub struct Capture {
    pub(super) ports: Vec<Port>,
    /// What says whether all results are right, the last of the values.
    pub(super) watch: Option<Watch>,
    pub(super) arrival: Arrival,
    /// Recordings that it comes after.
    pub(super) before: Option<Before>,
}

impl Capture {
    fn typed(ports: &[Port], watch: Option<&Watch>, values: &[Vec<u8>]) -> Result<Vec<TensorData>> {
        if let (Some(watch), Some(hidden)) = (watch, values.get(ports.len()..)) {
            watch.check(hidden)?;
        }
        ports.iter().zip(values).map(|(port, bytes)| received(&port.ty, port.stored, bytes)).collect()
    }

    /// The values, in the order in which they were asked for. Waits until the step is done.
    ///
    /// # Errors
    /// A device that fails; an i64 that does not fit the i32 in which a GPU computes; a recorded run before it that was not submitted.
    pub fn wait(self) -> Result<Vec<TensorData>> {
        block_on(self.arrive())
    }

    /// True where [`wait`](Self::wait) would not block. It is found out without waiting.
    ///
    /// # Errors
    /// A device that was lost.
    pub fn is_ready(&self) -> Result<bool> {
        self.arrival.is_ready()
    }

    /// The values, for an executor of the application's: nothing blocks.
    ///
    /// # Errors
    /// As of [`wait`](Self::wait).
    pub async fn arrive(self) -> Result<Vec<TensorData>> {
        let values = self.arrival.arrive().await?;
        if let Some(before) = &self.before {
            before.check().await?;
        }
        Self::typed(&self.ports, self.watch.as_ref(), &values)
    }
}
