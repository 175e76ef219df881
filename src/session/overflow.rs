//! Integers that left 32 bits on a GPU, which computes in i32 instead of i64: the program reports them in a hidden output (see
//! `compiler::overflow`), which is read with the other outputs and becomes an error.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::Capture;
use crate::compiler::{Location, OVERFLOW, Port, Program};
use crate::error::{Error, Result};

/// Runs that may wait to be checked: more than a device has in flight, so that checking the oldest seldom waits.
const WAITING: usize = 4;

/// A program's hidden output.
pub(super) struct Watch {
    pub(super) location: Location,
    nodes: Arc<[String]>,
}

impl Watch {
    /// Of a program with results that are checked.
    pub(super) fn of(program: &Program) -> Option<Self> {
        let port = program.outputs.iter().find(|port| port.name == OVERFLOW)?;
        Some(Self { location: port.location, nodes: Arc::clone(&program.checked) })
    }

    /// Was every result within 32 bits?
    pub(super) fn check(&self, bytes: &[u8]) -> Result<()> {
        let code = bytes.first_chunk().map_or(0, |word| i32::from_le_bytes(*word));
        let Some(number) = usize::try_from(code).ok().and_then(|code| code.checked_sub(1)) else { return Ok(()) };
        let node = self.nodes.get(number).map_or("a node", String::as_str);
        Err(Error::Data(format!(
            "{node}: a result does not fit i32, in which a GPU computes instead of i64; keep it within ±2³¹, or use the CPU"
        )))
    }
}

/// The outputs of a program that are the user's.
pub(super) fn visible(program: &Program) -> impl Iterator<Item = &Port> {
    program.outputs.iter().filter(|port| port.name != OVERFLOW)
}

/// Steps in flight from which nothing is read.
#[derive(Default)]
pub(super) struct Unchecked(Mutex<VecDeque<Capture>>);

impl Unchecked {
    /// One more step; checks the oldest where there are many.
    pub(super) async fn push(&self, capture: Capture) -> Result<()> {
        if capture.watch.is_none() {
            return Ok(());
        }
        let oldest = {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push_back(capture);
            if waiting.len() > WAITING { waiting.pop_front() } else { None }
        };
        match oldest {
            Some(oldest) => oldest.arrive().await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// As [`push`](Self::push), but checks only what is there: nothing is waited for.
    pub(super) fn push_without_waiting(&self, capture: Capture) -> Result<()> {
        if capture.watch.is_none() {
            return Ok(());
        }
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back(capture);
        let is_ready =
            waiting.len() > WAITING && waiting.front().is_some_and(|oldest| oldest.is_ready().is_ok_and(|is| is));
        let oldest = if is_ready { waiting.pop_front() } else { None };
        drop(waiting);
        oldest.map_or(Ok(()), |oldest| oldest.wait().map(|_| ()))
    }

    /// Checks all steps so far; an error is returned once.
    pub(super) async fn settle(&self) -> Result<()> {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut outcome = Ok(());
        for capture in waiting {
            outcome = outcome.and(capture.arrive().await.map(|_| ()));
        }
        outcome
    }
}
