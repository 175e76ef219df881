//! The optimizers of a session's programs: each has its own learning rate and count of steps, whichever programs it is in.

use super::Session;
use super::recordings::Recordings;
use crate::error::{Error, Result};
use crate::graph::{HostScalars, OptimizerPlan, StepState, UpdateState};

/// The state of an optimizer of a session. Its states are variables of the session.
///
/// ```
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let x = g.input("x", [4, 2], F32);
/// let loss = nn::Linear::new(&g, "fc", 2, 1).forward(&x).square().mean_all();
/// let mut session = g.minimize(&loss, Adam::new(0.1)).compile(&Device::cpu())?;
/// session.step(&[("x", &TensorData::zeros(F32, [4, 2]))])?;
/// let optimizer = &session.optimizers()[0];
/// assert_eq!((optimizer.steps, optimizer.learning_rate), (1, 0.1));
/// assert_eq!(optimizer.parameters, ["fc.bias", "fc.weight"]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerState {
    /// The name that [`Minimize::named`](crate::optim::Minimize::named) gave it; empty where it has none.
    pub name: String,
    /// Names of the parameters that it updates, sorted.
    pub parameters: Vec<String>,
    /// The learning rate of its next step, before a schedule of [`Minimize::schedule`](crate::optim::Minimize::schedule).
    pub learning_rate: f64,
    /// Steps done.
    pub steps: u64,
}

#[derive(Clone, Debug)]
struct Known {
    state: OptimizerState,
    plan: OptimizerPlan,
}

impl Known {
    /// True where a graph's optimizer is this one.
    fn is(&self, plan: &OptimizerPlan) -> bool {
        let known = &self.plan;
        known.name == plan.name && known.definition == plan.definition && known.parameters == plan.parameters
    }
}

/// All optimizers of a session.
#[derive(Clone, Debug, Default)]
pub(super) struct Optimizers(Vec<Known>);

impl Optimizers {
    /// These and a graph's; and for each of the graph's, which of all it is.
    pub(super) fn with(&self, plans: &[OptimizerPlan]) -> Result<(Self, Vec<usize>)> {
        let mut all = self.clone();
        let mut mine = Vec::with_capacity(plans.len());
        for plan in plans {
            if let Some(index) = all.0.iter().position(|known| known.is(plan)) {
                mine.push(index);
                continue;
            }
            for other in &self.0 {
                if let Some(message) = clash(&other.plan, plan) {
                    return Err(Error::graph("minimize", message, plan.origin));
                }
            }
            let OptimizerPlan { name, parameters, learning_rate, .. } = plan.clone();
            let state = OptimizerState { name, parameters, learning_rate, steps: 0 };
            all.0.push(Known { state, plan: plan.clone() });
            mine.push(all.0.len() - 1);
        }
        Ok((all, mine))
    }
}

impl Optimizers {
    /// The same as they were at another time; those that were not there yet have done no step.
    pub(super) fn at(&self, before: &Self) -> Self {
        let mut all = self.clone();
        for (index, known) in all.0.iter_mut().enumerate() {
            match before.0.get(index) {
                Some(before) => known.state = before.state.clone(),
                None => known.state.steps = 0,
            }
        }
        all
    }

    /// Uncounts a step of these that did not take place.
    pub(super) fn uncount(&mut self, optimizers: &[usize]) {
        for &index in optimizers {
            if let Some(known) = self.0.get_mut(index) {
                known.state.steps = known.state.steps.saturating_sub(1);
            }
        }
    }
}

/// Why two different optimizers cannot be in one session, if they cannot.
fn clash(known: &OptimizerPlan, new: &OptimizerPlan) -> Option<String> {
    let differs = if known.parameters == new.parameters { "has other settings" } else { "updates other parameters" };
    if !new.name.is_empty() && known.name == new.name {
        return Some(format!(
            "this session has an optimizer {:?} already (at {}), which {differs}; give this one another name",
            new.name, known.origin
        ));
    }
    let state = new.states.iter().find(|name| known.states.contains(name))?;
    Some(format!(
        "the state {state:?} belongs to the optimizer at {}, which {differs}, so that it is not this one; make them the same, \
         or give one a name with `Minimize::named`, so that each has its own states",
        known.origin
    ))
}

/// The numbers of a run that is about to be made.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    step: u64,
    /// The program's optimizers as they are for this run, each with its number in the session.
    updates: Vec<(usize, UpdateState)>,
}

impl Counts {
    /// Number of the session's step; 0 for a run before any.
    pub(super) const fn step(&self) -> u64 {
        self.step
    }

    /// The program's optimizers by their numbers in the session.
    pub(super) fn optimizers(&self) -> Vec<usize> {
        self.updates.iter().map(|(index, _)| *index).collect()
    }

    /// A block of the host's scalars, if an input is one.
    pub(super) fn block(&self, scalars: &HostScalars, input: &str) -> Option<Vec<f32>> {
        let updates: Vec<UpdateState> = self.updates.iter().map(|(_, state)| *state).collect();
        scalars.block(input, StepState::new(self.step.max(1)), &updates)
    }
}

impl Session {
    /// The optimizers of all programs, in the order in which they were loaded.
    pub fn optimizers(&self) -> Vec<OptimizerState> {
        let mut now = self.optimizers.clone();
        self.recordings.dropped().iter().for_each(|(_, optimizers)| now.uncount(optimizers));
        now.0.into_iter().map(|known| known.state).collect()
    }

    /// Gives the optimizer of this name and these parameters this learning rate and count of steps.
    ///
    /// # Errors
    /// Where the session has no such optimizer; a learning rate that is negative or not a number.
    pub fn set_optimizer(&mut self, optimizer: &OptimizerState) -> Result<()> {
        check(optimizer.learning_rate)?;
        self.settle()?;
        let OptimizerState { name, parameters, .. } = optimizer;
        let is_same = |known: &&mut Known| known.state.name == *name && known.state.parameters == *parameters;
        let mut found: Vec<&mut Known> = self.optimizers.0.iter_mut().filter(is_same).collect();
        match found.as_mut_slice() {
            [known] => {
                known.state = optimizer.clone();
                Ok(())
            }
            [] => {
                Err(Error::Argument(format!("this session has no optimizer {name:?} of the parameters {parameters:?}")))
            }
            several => Err(Error::Argument(format!(
                "this session has {} optimizers {name:?} of the parameters {parameters:?}; give them names with `Minimize::named`",
                several.len()
            ))),
        }
    }

    /// Continues counting from here, as after a resume: the session's steps, and those of each of its optimizers. Where optimizers have
    /// done different numbers of steps, [`set_optimizer`](Self::set_optimizer) tells each its own.
    pub fn set_steps(&mut self, step: u64) {
        // What was recorded before has nothing to do with this count.
        self.recordings = Recordings::default();
        self.step = step;
        self.optimizers.0.iter_mut().for_each(|known| known.state.steps = step);
    }

    /// The learning rate of the next step, where all optimizers of the session have the same one. `None` where there is no optimizer, or
    /// they differ: [`optimizers`](Self::optimizers) tells each.
    pub fn learning_rate(&self) -> Option<f64> {
        let mut rates = self.optimizers.0.iter().map(|known| known.state.learning_rate);
        let first = rates.next()?;
        rates.all(|rate| rate == first).then_some(first)
    }

    /// Sets the learning rate of the next steps for every optimizer of the session; where the session is [used](Self::using) with a
    /// program, for that program's, in whichever programs they are.
    ///
    /// # Errors
    /// A session or program without an optimizer; a learning rate that is negative or not a number.
    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        check(learning_rate)?;
        let known = &mut self.optimizers.0;
        let (mine, whose) = match &self.used {
            Some(program) => (Some(&self.programs.get(program)?.optimizers), "this program"),
            None => (None, "this session"),
        };
        if mine.map_or(known.len(), Vec::len) == 0 {
            return Err(Error::Argument(format!("{whose} has no optimizer (`Graph::minimize`), so no learning rate")));
        }
        for (index, known) in known.iter_mut().enumerate() {
            if mine.is_none_or(|mine| mine.contains(&index)) {
                known.state.learning_rate = learning_rate;
            }
        }
        Ok(())
    }

    /// What a run is counted as: a step where it is one, or where the program updates parameters.
    pub(super) fn counts(&mut self, is_step: bool) -> Result<Counts> {
        self.settle()?;
        self.between_steps()?;
        let mine = &self.loaded()?.optimizers;
        let counted = u64::from(is_step || !mine.is_empty());
        let update = |&index: &usize| {
            let OptimizerState { steps, learning_rate, .. } = self.optimizers.0[index].state;
            (index, UpdateState::new(steps + 1, learning_rate))
        };
        Ok(Counts { step: self.step + counted, updates: mine.iter().map(update).collect() })
    }

    /// The run was made.
    pub(super) fn count(&mut self, counts: Counts) {
        if counts.step != self.step {
            self.recordings.count();
        }
        self.step = counts.step;
        for (index, state) in counts.updates {
            self.optimizers.0[index].state.steps = state.step;
        }
    }
}

fn check(learning_rate: f64) -> Result<()> {
    if learning_rate.is_finite() && learning_rate >= 0.0 {
        return Ok(());
    }
    Err(Error::Argument(format!("the learning rate is {learning_rate}, and must be a number of at least 0")))
}
