//! Where variables live in the store: a few large buffers, shared by all programs of a session. Parameters that one kernel
//! updates are adjacent, as are their states and gradients, so that the kernel iterates over one range.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Target;
use super::program::{Location, VariablePlan};
use crate::error::{Error, Result};
use crate::graph::GraphData;
use crate::ops::{Op, Role, Variable};
use crate::shader::Limit;
use crate::tensor::DType;

/// Every part of a buffer begins at a multiple of this, so that it can be bound on any adapter.
pub(crate) const ALIGNMENT: usize = 256;

/// Bytes that a part of a group takes.
pub(crate) fn padded(bytes: usize) -> usize {
    bytes.div_ceil(ALIGNMENT).max(1) * ALIGNMENT
}

/// The plan of the store: its buffers' sizes and its variables' locations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// Bytes of each buffer.
    pub buffers: Vec<usize>,
    /// Variables in the order in which they were allocated.
    pub variables: Vec<VariablePlan>,
    indices: FxHashMap<String, usize>,
    /// Buffers that still grow while a program is compiled: by role and element type.
    open: FxHashMap<(Role, DType), usize>,
}

impl Layout {
    /// The plan of a variable.
    pub fn find(&self, name: &str) -> Option<&VariablePlan> {
        self.indices.get(name).map(|&index| &self.variables[index])
    }

    /// Checks that a graph's variables are those of the same names that are allocated.
    pub(crate) fn agrees(&self, data: &GraphData) -> Result<()> {
        for node in &data.nodes {
            let Op::Variable(variable) = &node.op else { continue };
            if let Some(known) = self.find(&variable.name).filter(|known| known.ty != variable.ty) {
                let message = format!(
                    "variable {:?} is {} here, but {} in another program of the session",
                    variable.name, variable.ty, known.ty
                );
                return Err(Error::Argument(message));
            }
        }
        Ok(())
    }

    /// Allocates a variable, if it has no location yet.
    pub(crate) fn allocate(&mut self, variable: &Arc<Variable>, target: &Target) -> Result<Location> {
        if let Some(known) = self.find(&variable.name) {
            return Ok(known.location);
        }
        let bytes = variable.ty.bytes();
        if let Target::Gpu(adapter) = target {
            let what = format!("variable {:?} ({})", variable.name, variable.ty);
            adapter.allows(Limit::BindingBytes, bytes as u64, &what)?;
            adapter.allows(Limit::BufferBytes, bytes as u64, &what)?;
        }
        let largest = target.largest();
        // Data sets are large, and no kernel updates several of them.
        let alone = variable.role == Role::Data;
        let key = (variable.role.clone(), variable.ty.dtype);
        let open = self
            .open
            .get(&key)
            .copied()
            .filter(|&buffer| !alone && (self.buffers[buffer] + padded(bytes)) as u64 <= largest);
        let buffer = open.unwrap_or_else(|| {
            self.buffers.push(0);
            self.buffers.len() - 1
        });
        if !alone {
            self.open.insert(key, buffer);
        }
        let location = Location { buffer, offset: self.buffers[buffer], bytes };
        self.buffers[buffer] += padded(bytes);
        self.indices.insert(variable.name.clone(), self.variables.len());
        self.variables.push(VariablePlan {
            name: variable.name.clone(),
            ty: variable.ty.clone(),
            stored: variable.ty.dtype,
            role: variable.role.clone(),
            initial: variable.initial.clone(),
            location,
        });
        Ok(location)
    }

    /// Removes a variable that has a buffer to itself, as data has. Buffers keep their indices.
    pub(crate) fn remove(&mut self, name: &str) {
        let Some(index) = self.indices.remove(name) else { return };
        let gone = self.variables.remove(index);
        if let Some(bytes) = self.buffers.get_mut(gone.location.buffer) {
            *bytes = 0;
        }
        for later in self.indices.values_mut().filter(|later| **later > index) {
            *later -= 1;
        }
    }

    /// Ends a compilation: buffers that exist keep their size, later variables get new ones.
    pub(crate) fn close(&mut self) {
        self.open.clear();
    }
}
