//! What a program reports of its results in hidden outputs, which are read with the others and become errors: integers that left 32 bits on
//! a GPU, which computes in i32 instead of i64 (`compiler::overflow`), and the first NaN or infinity (`compiler::finite`).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::Capture;
use crate::compiler::{Location, NON_FINITE, OVERFLOW, Port, Program, Watched};
use crate::error::{Error, Result};

/// Runs that may wait to be checked: more than a device has in flight, so that checking the oldest seldom waits.
const WAITING: usize = 4;

/// A program's hidden outputs, which say whether its results are right.
pub(super) struct Watch {
    hidden: Vec<Location>,
    checks: Vec<Check>,
}

/// What a hidden output is about.
enum Check {
    /// Integers that left 32 bits, at one of these nodes.
    Overflow(Arc<[String]>),
    /// The first NaN or infinity.
    NonFinite(Watched),
}

impl Watch {
    /// Of a program with results that are checked.
    pub(super) fn of(program: &Program) -> Option<Self> {
        let mut watch = Self { hidden: Vec::new(), checks: Vec::new() };
        for port in &program.outputs {
            let check = match port.name.as_str() {
                OVERFLOW => Check::Overflow(Arc::clone(&program.checked)),
                NON_FINITE => Check::NonFinite(program.watched.clone()),
                _ => continue,
            };
            watch.hidden.push(port.location);
            watch.checks.push(check);
        }
        (!watch.checks.is_empty()).then_some(watch)
    }

    /// Where the hidden outputs are.
    pub(super) fn locations(&self) -> impl Iterator<Item = Location> {
        self.hidden.iter().copied()
    }

    /// Was every result what it should be? `values` are the hidden outputs'.
    pub(super) fn check(&self, values: &[Vec<u8>]) -> Result<()> {
        self.checks.iter().zip(values).try_for_each(|(check, bytes)| {
            let code = bytes.first_chunk().map_or(0, |word| i32::from_le_bytes(*word));
            check.verdict(code)
        })
    }
}

impl Check {
    fn verdict(&self, code: i32) -> Result<()> {
        match self {
            Self::Overflow(nodes) => {
                let number = usize::try_from(code).ok().and_then(|code| code.checked_sub(1));
                let Some(number) = number else { return Ok(()) };
                let node = nodes.get(number).map_or("a node", String::as_str);
                Err(Error::Data(format!(
                    "{node}: a result does not fit i32, in which a GPU computes instead of i64; keep it within ±2³¹, or use the CPU"
                )))
            }
            Self::NonFinite(watched) => {
                let Some((name, origin, is_nan)) = watched.first(code) else { return Ok(()) };
                let what = if is_nan { "NaN" } else { "infinity" };
                Err(Error::graph(name, format!("the first {what} of a step arose here"), origin))
            }
        }
    }
}

/// The outputs of a program that are the user's.
pub(super) fn visible(program: &Program) -> impl Iterator<Item = &Port> {
    program.outputs.iter().filter(|port| ![OVERFLOW, NON_FINITE].contains(&port.name.as_str()))
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
