//! Scalars that the host computes before each step, in f64: schedules, bias corrections. Those of an optimizer follow from its own
//! count and learning rate, which therefore are a part of the graph that it updates.

use std::fmt;
use std::sync::Arc;

use super::{Graph, Tensor};
use crate::error::Origin;
use crate::ops::Variable;
use crate::tensor::DType;

/// What the session knows of a step before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepState {
    /// Number of the session's step, from 1 on.
    pub step: u64,
}

/// What an optimizer knows of one of its steps before it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct UpdateState {
    /// Number of the optimizer's step, from 1 on: steps of programs that it has no part in do not count.
    pub step: u64,
    /// The optimizer's learning rate for it.
    pub learning_rate: f64,
}

impl StepState {
    pub(crate) const fn new(step: u64) -> Self {
        Self { step }
    }
}

impl UpdateState {
    pub(crate) const fn new(step: u64, learning_rate: f64) -> Self {
        Self { step, learning_rate }
    }
}

/// Which of a graph's optimizers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OptimizerId(usize);

/// An optimizer that updates parameters of a graph.
#[derive(Clone, Debug)]
pub(crate) struct OptimizerPlan {
    /// The user's name for it; empty where there is none.
    pub(crate) name: String,
    /// Its kind and its hyperparameters, so that programs can tell whether theirs is the same.
    pub(crate) definition: String,
    pub(crate) learning_rate: f64,
    /// Names of the parameters that it updates, sorted.
    pub(crate) parameters: Vec<String>,
    /// Names of its states.
    pub(crate) states: Vec<String>,
    /// The user's line.
    pub(crate) origin: Origin,
}

type OfStep = Arc<dyn Fn(&StepState) -> f64 + Send + Sync>;
type OfUpdate = Arc<dyn Fn(&UpdateState) -> f64 + Send + Sync>;

/// How a scalar follows from the step.
#[derive(Clone)]
enum Rule {
    Step(OfStep),
    Update(OptimizerId, OfUpdate),
}

#[derive(Clone)]
struct HostScalar {
    name: String,
    rule: Rule,
}

impl HostScalar {
    fn optimizer(&self) -> Option<OptimizerId> {
        match self.rule {
            Rule::Step(_) => None,
            Rule::Update(optimizer, _) => Some(optimizer),
        }
    }
}

/// All such scalars of a graph, and its optimizers.
#[derive(Clone, Default)]
pub(crate) struct HostScalars {
    scalars: Vec<HostScalar>,
    optimizers: Vec<OptimizerPlan>,
}

impl fmt::Debug for HostScalars {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.scalars.iter().map(|scalar| &scalar.name)).finish()
    }
}

/// The hidden inputs that hold the host's scalars: this name, a dot, and the block's number.
const HOST_SCALARS: &str = "@host";

/// Scalars of one such input.
const HOST_BLOCK: usize = 16;

impl HostScalars {
    pub(crate) fn optimizers(&self) -> &[OptimizerPlan] {
        &self.optimizers
    }

    /// The values of a hidden input, if the name is one's: those of its block, and zeros up to its end. `updates` are the states of
    /// the graph's optimizers, in their order.
    pub(crate) fn block(&self, input: &str, step: StepState, updates: &[UpdateState]) -> Option<Vec<f32>> {
        let block: usize = input.strip_prefix(HOST_SCALARS)?.strip_prefix('.')?.parse().ok()?;
        let value = |scalar: &HostScalar| match &scalar.rule {
            Rule::Step(compute) => Some(compute(&step) as f32),
            Rule::Update(optimizer, compute) => Some(compute(updates.get(optimizer.0)?) as f32),
        };
        let scalars = self.scalars.iter().skip(block * HOST_BLOCK).take(HOST_BLOCK);
        let mut values = scalars.map(value).collect::<Option<Vec<f32>>>()?;
        values.resize(HOST_BLOCK, 0.0);
        Some(values)
    }
}

impl Graph {
    /// A single f32 that the session computes on the host before each step, from the step's number, and writes together with the
    /// inputs: so a schedule costs the device nothing. Asking twice for a name returns the same scalar. What depends on an
    /// optimizer's learning rate is [`Update::scalar`](crate::optim::Update::scalar).
    #[track_caller]
    pub fn host_scalar(&self, name: &str, compute: impl Fn(&StepState) -> f64 + Send + Sync + 'static) -> Tensor {
        self.scalar_by_rule(name, Rule::Step(Arc::new(compute)))
    }

    /// The same of an optimizer, from its own steps and learning rate.
    #[track_caller]
    pub(crate) fn update_scalar(
        &self,
        optimizer: OptimizerId,
        name: &str,
        compute: impl Fn(&UpdateState) -> f64 + Send + Sync + 'static,
    ) -> Tensor {
        self.scalar_by_rule(name, Rule::Update(optimizer, Arc::new(compute)))
    }

    #[track_caller]
    fn scalar_by_rule(&self, name: &str, rule: Rule) -> Tensor {
        let scalar = HostScalar { name: name.to_owned(), rule };
        let index = {
            let scalars = &mut self.data().host_scalars.scalars;
            let is_same = |known: &HostScalar| known.name == scalar.name && known.optimizer() == scalar.optimizer();
            scalars.iter().position(is_same).unwrap_or_else(|| {
                scalars.push(scalar);
                scalars.len() - 1
            })
        };
        // Many in one input: a kernel that reads several of them has one binding for all.
        let block = format!("{HOST_SCALARS}.{}", index / HOST_BLOCK);
        // No closure: the user's line does not reach through one.
        let block = match self.find(&block) {
            Some(block) => block,
            None => self.input(&block, [HOST_BLOCK], DType::F32),
        };
        block.at(0, index % HOST_BLOCK)
    }

    /// Adds an optimizer; `states` grow with [`optimizer_state`](Self::optimizer_state).
    ///
    /// # Errors
    /// A message, where another optimizer of the graph has its name or one of its parameters.
    pub(crate) fn add_optimizer(&self, plan: OptimizerPlan) -> Result<OptimizerId, String> {
        let optimizers = &mut self.data().host_scalars.optimizers;
        for other in optimizers.iter() {
            if !plan.name.is_empty() && plan.name == other.name {
                return Err(format!(
                    "another optimizer of this graph (at {}) is called {:?} too",
                    other.origin, plan.name
                ));
            }
            if let Some(shared) = plan.parameters.iter().find(|name| other.parameters.contains(name)) {
                return Err(format!(
                    "{shared:?} is updated already by the optimizer at {}; leave it out of one of them: \
                     `.group(Group::named({shared:?}).frozen())`",
                    other.origin
                ));
            }
        }
        optimizers.push(plan);
        Ok(OptimizerId(optimizers.len() - 1))
    }

    /// A state of an optimizer.
    #[track_caller]
    pub(crate) fn optimizer_state(&self, optimizer: OptimizerId, variable: Variable) -> Tensor {
        let other = {
            let optimizers = &self.data().host_scalars.optimizers;
            let mut others = optimizers.iter().enumerate().filter(|(index, _)| *index != optimizer.0);
            others.find(|(_, other)| other.states.contains(&variable.name)).map(|(_, other)| other.origin)
        };
        if let Some(origin) = other {
            let message = format!(
                "the state {:?} belongs to the optimizer at {origin}; give one of the two a name with `Minimize::named`",
                variable.name
            );
            return self.mistake("minimize", message);
        }
        if let Some(plan) = self.data().host_scalars.optimizers.get_mut(optimizer.0)
            && !plan.states.contains(&variable.name)
        {
            plan.states.push(variable.name.clone());
        }
        self.variable(variable)
    }
}
