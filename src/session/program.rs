//! Handles of a session's programs, and which of them a call is about.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Startup;
use super::{Loaded, Session};
use crate::compiler::{self, Stages};
use crate::error::{Error, Result};

/// A program of a session, made by [`Session::load`]; [`Session::program`] is the one that the session was compiled with. Clones are cheap
/// and stand for the same program. It dereferences to the program as plain data: its buffers, kernels, steps.
///
/// ```
/// use wgrad::prelude::*;
/// let build = |batch: usize| {
///     let g = Graph::new();
///     let x = g.input("x", [batch, 2], F32);
///     g.output("y", &nn::Linear::new(&g, "fc", 2, 1).forward(&x));
///     g
/// };
/// let mut session = build(4).compile(&Device::cpu())?;
/// let single = session.load(&build(1))?; // shares the variables
/// let x = TensorData::zeros(F32, [1, 2]);
/// assert_eq!(session.using(&single).run(&[("x", &x)])?["y"].shape().dims(), [1, 1]);
/// assert!(session.run(&[("x", &x)]).is_err()); // the program that it was compiled with takes four examples
/// assert!(single.stages().graph.contains("fc.weight"));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone)]
pub struct Program(Arc<Handle>);

struct Handle {
    session: u64,
    number: u64,
    plan: Arc<compiler::Program>,
    stages: Stages,
    startup: Startup,
}

impl Program {
    /// Where the time went until it was ready to run, when it was loaded.
    pub fn startup(&self) -> &Startup {
        &self.0.startup
    }

    /// The printed forms of the stages in which it was compiled.
    pub fn stages(&self) -> &Stages {
        &self.0.stages
    }

    /// The handle of that number, for tests of what stores handles.
    #[cfg(test)]
    pub(crate) fn numbered(number: u64) -> Self {
        Self::empty(0, number)
    }

    fn empty(session: u64, number: u64) -> Self {
        Self(Arc::new(Handle {
            session,
            number,
            plan: Arc::default(),
            stages: Stages::default(),
            startup: Startup::default(),
        }))
    }
}

impl Deref for Program {
    type Target = compiler::Program;
    fn deref(&self) -> &compiler::Program {
        &self.0.plan
    }
}

impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        (self.0.session, self.0.number) == (other.0.session, other.0.number)
    }
}

impl Eq for Program {}

/// The program as text, as [`compiler::Program`] prints it.
impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.plan, formatter)
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Program({})", self.0.number)
    }
}

/// The programs of a session. A number is never used twice.
pub(super) struct Programs {
    session: u64,
    last: u64,
    loaded: BTreeMap<u64, Loaded>,
    /// The first program that was loaded; number 0 before there is one.
    main: Program,
}

impl Programs {
    pub(super) fn new() -> Self {
        static SESSIONS: AtomicU64 = AtomicU64::new(1);
        let session = SESSIONS.fetch_add(1, Ordering::Relaxed);
        Self { session, last: 0, loaded: BTreeMap::new(), main: Program::empty(session, 0) }
    }

    pub(super) const fn main(&self) -> &Program {
        &self.main
    }

    pub(super) fn add(
        &mut self,
        plan: &Arc<compiler::Program>,
        stages: Stages,
        startup: Startup,
        loaded: impl FnOnce(Program) -> Loaded,
    ) -> Program {
        self.last += 1;
        let handle = Handle { session: self.session, number: self.last, plan: Arc::clone(plan), stages, startup };
        let program = Program(Arc::new(handle));
        self.loaded.insert(self.last, loaded(program.clone()));
        if self.main.0.number == 0 {
            self.main = program.clone();
        }
        program
    }

    /// Replaces what a handle stands for; handles that exist stand for the new one.
    pub(super) fn replace(
        &mut self,
        program: &Program,
        plan: &Arc<compiler::Program>,
        stages: Stages,
        startup: Startup,
        renewed: impl FnOnce(Program, Loaded) -> Loaded,
    ) -> Result<()> {
        let number = self.number(program)?;
        let before = self.loaded.remove(&number).ok_or_else(|| missing(program))?;
        let handle = Handle { session: self.session, number, plan: Arc::clone(plan), stages, startup };
        let fresh = Program(Arc::new(handle));
        self.loaded.insert(number, renewed(fresh.clone(), before));
        if self.main == fresh {
            self.main = fresh;
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, program: &Program) -> Result<()> {
        self.get(program)?;
        self.loaded.remove(&program.0.number);
        if self.main == *program {
            self.main = Program::empty(self.session, program.0.number);
        }
        Ok(())
    }

    pub(super) fn get(&self, program: &Program) -> Result<&Loaded> {
        self.loaded.get(&self.number(program)?).ok_or_else(|| missing(program))
    }

    pub(super) fn get_mut(&mut self, program: &Program) -> Result<&mut Loaded> {
        let number = self.number(program)?;
        self.loaded.get_mut(&number).ok_or_else(|| missing(program))
    }

    pub(super) fn loaded(&self) -> impl Iterator<Item = &Loaded> {
        self.loaded.values()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Program> {
        self.loaded.values().map(|loaded| &loaded.program)
    }

    fn number(&self, program: &Program) -> Result<u64> {
        if program.0.session == self.session {
            return Ok(program.0.number);
        }
        Err(Error::Argument("the program is one of another session; load its graph into this one".into()))
    }
}

fn missing(program: &Program) -> Error {
    Error::Argument(match program.0.number {
        0 => "this session has no program".to_owned(),
        number => format!("program {number} of this session was unloaded"),
    })
}

/// A session whose calls are about one of its programs: see [`Session::using`].
pub struct Using<'s> {
    session: &'s mut Session,
    before: Option<Program>,
}

impl Session {
    /// The program that calls are about: the first, or the one that the session is [used](Self::using) with.
    pub fn program(&self) -> &Program {
        self.used.as_ref().unwrap_or_else(|| self.programs.main())
    }

    /// This session with another program than the first: every call on what it returns is about that one.
    ///
    /// ```
    /// # use wgrad::prelude::*;
    /// # let build = |scale: f64| {
    /// #     let g = Graph::new();
    /// #     g.output("y", &(g.input("x", [2], F32) * scale));
    /// #     g
    /// # };
    /// # let x = TensorData::from_f64(F32, &[1.0, 2.0], [2])?;
    /// # let mut session = build(1.0).compile(&Device::cpu())?;
    /// let twice = session.load(&build(2.0))?;
    /// session.using(&twice).step(&[("x", &x)])?;
    /// assert_eq!(session.using(&twice).read("y")?.to_vec::<f32>()?, [2.0, 4.0]);
    /// assert!(session.read("y").is_err()); // the first program has not run
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// A program of another session, or one that was unloaded, is an error of the calls.
    pub fn using(&mut self, program: &Program) -> Using<'_> {
        let before = self.used.replace(program.clone());
        Using { session: self, before }
    }
}

impl Deref for Using<'_> {
    type Target = Session;
    fn deref(&self) -> &Session {
        self.session
    }
}

impl DerefMut for Using<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        self.session
    }
}

impl Drop for Using<'_> {
    fn drop(&mut self) {
        self.session.used = self.before.take();
    }
}
