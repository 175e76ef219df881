//! The commands of a run in parts: a dispatch that computes many steps of a sequence is several shorter ones there, each of which fits into
//! a frame of an application.

use super::parts::Costs;
use super::program::{Command, GpuProgram, upload};
use crate::compiler::Dispatch;
use crate::error::Result;

/// A dispatch is divided into pieces that are guessed to take this many seconds.
const PIECE: f64 = 0.5e-3;

impl GpuProgram {
    /// The program's commands, with what can be divided in pieces.
    pub(super) fn pieces(&self) -> Result<Vec<Command>> {
        let costs = Costs::guessed(self.device.info().kind, &self.program, &self.commands);
        let divided: Vec<Vec<Vec<u32>>> = self
            .commands
            .iter()
            .zip(costs.seconds())
            .map(|(command, seconds)| {
                let pieces = (seconds / PIECE).ceil() as usize;
                self.planned(command).map_or_else(Vec::new, |dispatch| self.divided(dispatch, pieces))
            })
            .collect();
        let (uniforms, offsets) = upload(&self.device, divided.iter().flatten().map(Vec::as_slice))?;
        let mut offsets = offsets.into_iter();
        let mut pieces = Vec::with_capacity(self.commands.len());
        for (command, divided) in self.commands.iter().zip(divided) {
            match command {
                Command::Dispatch { pipeline, step, index, .. } if !divided.is_empty() => {
                    for offset in offsets.by_ref().take(divided.len()) {
                        pieces.push(self.dispatch_with(pipeline, *step, *index, &uniforms, offset)?);
                    }
                }
                _ => pieces.push(command.clone()),
            }
        }
        Ok(pieces)
    }

    fn planned(&self, command: &Command) -> Option<&Dispatch> {
        let Command::Dispatch { step, index, .. } = command else { return None };
        self.program.steps.get(*step)?.dispatches.get(*index)
    }

    /// The parameters of a dispatch's pieces; none where it stays whole.
    fn divided(&self, dispatch: &Dispatch, pieces: usize) -> Vec<Vec<u32>> {
        let words = self.program.kernels.get(dispatch.kernel).and_then(|kernel| kernel.iterations);
        words.map_or_else(Vec::new, |words| words.divide(&dispatch.params, pieces))
    }
}
