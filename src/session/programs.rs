//! Which programs a session holds, what memory they take, and how they are unloaded.

use super::{Program, Session};
use crate::compiler::BufferKind;
use crate::error::{Error, Result};
use crate::ops::Role;

/// What a session holds on its device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Number of programs.
    pub programs: usize,
    /// Bytes that the programs' own values take; those of each count, though they may never be needed at once.
    pub program_bytes: usize,
    /// Bytes of the variables: parameters, states, data.
    pub variable_bytes: usize,
}

impl Session {
    /// The programs that are loaded, the oldest first.
    pub fn programs(&self) -> impl Iterator<Item = &Program> {
        self.programs.iter()
    }

    /// What the session holds on its device.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// g.output("y", &(g.input("x", [1000], F32).exp() + 1.0));
    /// let mut session = g.compile(&Device::cpu())?;
    /// assert_eq!((session.memory().programs, session.memory().variable_bytes), (1, 0));
    /// let program = session.program().clone();
    /// session.unload(&program)?;
    /// assert_eq!(session.memory(), Default::default());
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn memory(&self) -> Memory {
        Memory {
            programs: self.programs().count(),
            program_bytes: self.programs().map(|program| program.planned_bytes()).sum(),
            variable_bytes: self.layout.buffers.iter().sum(),
        }
    }

    /// Frees a program, with the memory that it has for itself; variables stay. Calls with its handles are errors from now on; other
    /// programs stay what they are.
    ///
    /// # Errors
    /// A program that the session does not have.
    pub fn unload(&mut self, program: &Program) -> Result<()> {
        self.programs.remove(program)
    }

    /// Frees data that lives on the device (a variable of the role [`Role::Data`]), with its memory. A program that is loaded later and has
    /// a variable of that name makes it anew.
    ///
    /// # Errors
    /// An unknown name; a variable that is no data; data that a loaded program reads.
    pub fn forget(&mut self, name: &str) -> Result<()> {
        let variable = self.find(name)?;
        let buffer = variable.location.buffer;
        if variable.role != Role::Data {
            return Err(Error::Argument(format!("variable {name:?} is no data, but of the model")));
        }
        if let Some(program) = self.programs().find(|program| reads(program, buffer)) {
            return Err(Error::Argument(format!("{program:?} reads variable {name:?}; unload it first")));
        }
        self.store.clear(buffer)?;
        if let Some(kept) = &mut self.kept {
            kept.forget(name);
        }
        self.layout.remove(name);
        Ok(())
    }
}

/// True where a program uses a buffer of the store.
fn reads(program: &Program, buffer: usize) -> bool {
    let index = program.buffers.iter().position(|plan| plan.kind == BufferKind::Persistent(buffer));
    index.is_some_and(|index| program.touched().contains(&index))
}
