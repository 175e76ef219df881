//! Tuning of what a session or a graph runs.

use super::Session;
use crate::compiler::{self, Layout, Options};
use crate::device::{Device, Tune, Tuning};
use crate::error::Result;
use crate::graph::Graph;

impl Session {
    /// Compares the kernels that could do each step of the program and remembers the fastest: see [`Device::tune`]. The session's programs
    /// stay as they are; those that are compiled from now on take the winners.
    ///
    /// ```
    /// use wgrad::device::Tune;
    /// use wgrad::prelude::*;
    ///
    /// let g = Graph::new();
    /// let x = g.input("x", [8, 3], F32);
    /// g.output("y", &x.softmax(-1));
    /// let session = g.compile(&Device::cpu())?;
    /// assert!(session.tune(Tune::new())?.is_empty());
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// A program that the session does not have; as of [`Device::tune`].
    pub fn tune(&self, tune: Tune<'_>) -> Result<Tuning> {
        self.device.tune([&*self.loaded()?.program], tune)
    }
}

impl Graph {
    /// Compares the kernels that could do each step of the graph's program and remembers the fastest, before anything is loaded: see
    /// [`Device::tune`].
    ///
    /// ```
    /// use wgrad::device::Tune;
    /// use wgrad::prelude::*;
    ///
    /// let device = Device::cpu(); // or any other
    /// let g = Graph::new();
    /// let x = g.input("x", [8, 3], F32);
    /// g.output("y", &x.softmax(-1));
    /// println!("{}", g.tune(&device, Tune::new())?);
    /// let session = g.compile(&device)?; // with the winners
    /// # let _ = session;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// The graph's first mistake; what breaks a limit of the device; as of [`Device::tune`].
    pub fn tune(&self, device: &Device, tune: Tune<'_>) -> Result<Tuning> {
        let target = device.without_tuning().target();
        let (program, _) = compiler::compile(self, &target, &mut Layout::default(), Options::default())?;
        device.tune([&program], tune)
    }
}
