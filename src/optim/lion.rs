//! Lion.

use super::builders::betas_method;
use super::decay::decay_methods;
use super::{Decay, Optimizer, SHARE, Update, in_range};
use crate::graph::Tensor;

/// Steps of one size, by the sign of a running mean that leans towards the newest gradient (Chen et al. 2023). It wants a learning
/// rate three to ten times smaller than AdamW's and a decay larger by the same factor, and takes half of its memory for states. State:
/// `exp_avg`.
///
/// ```text
/// p − lr·sign(β₁·m + (1 − β₁)·g)        m = β₂·m + (1 − β₂)·g
/// ```
///
/// ```
/// use wgrad::optim::Lion;
/// let optimizer = Lion::new(1e-4).betas(0.95, 0.98).weight_decay(0.1);
/// assert_eq!((optimizer.betas, optimizer.decay.decoupled), ((0.95, 0.98), 0.1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lion {
    /// The learning rate.
    pub learning_rate: f64,
    /// The share of the running mean in a step, and the share of it that stays.
    pub betas: (f64, f64),
    /// What draws parameters to 0.
    pub decay: Decay,
}

impl Lion {
    /// With the paper's β = (0.9, 0.99), and no decay.
    pub const fn new(learning_rate: f64) -> Self {
        Self { learning_rate, betas: (0.9, 0.99), decay: Decay::NONE }
    }
}

betas_method!(Lion, "the running mean, in a step and from step to step,");
decay_methods!(Lion, weight_decay: decoupled, "With p drawn to 0 by its share learning rate · λ before each step.");

impl Optimizer for Lion {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn decay(&self) -> Decay {
        self.decay
    }

    fn check(&self) -> Result<(), String> {
        in_range(&[("beta 1", self.betas.0, SHARE), ("beta 2", self.betas.1, SHARE)])
    }

    #[track_caller]
    fn update(&self, update: &mut Update<'_>) -> Tensor {
        let (first, second) = self.betas;
        let gradient = update.gradient().clone();
        let mean = update.state("exp_avg", 0.0);
        let direction = (&mean * first + &gradient * (1.0 - first)).sign();
        update.set_state(&mean, &mean * second + gradient * (1.0 - second));
        update.parameter() - &(direction * update.learning_rate())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use crate::error::Result;
    use crate::graph::Graph;
    use crate::ops::{Initial, Variable};
    use crate::tensor::{DType, TensorData};

    /// Against the formula on the host, with gradients that change their sign before the running mean does.
    #[test]
    fn steps_are_those_of_the_paper() -> Result<()> {
        let g = Graph::new();
        let mut parameters = vec![1.0_f64, -2.0, 0.5];
        let initial = Initial::Values(TensorData::from_f64(DType::F32, &parameters, [3])?);
        let gradient = g.input("g", [3], DType::F32);
        let parameter = g.variable(Variable::parameter("p", gradient.ty(), initial));
        let loss = (parameter * gradient).sum_all();
        let mut session = g.minimize(&loss, Lion::new(0.01).weight_decay(0.5)).compile(&Device::cpu())?;
        let mut mean = vec![0.0_f64; 3];
        for step in 0..20_i32 {
            let gradient: Vec<f64> =
                (0..3).map(|index| f64::from((step * 5 + index * 3) % 7 - 3) / 4.0 + 0.06).collect();
            session.step(&[("g", &TensorData::from_f64(DType::F32, &gradient, [3])?)])?;
            for ((p, m), g) in parameters.iter_mut().zip(&mut mean).zip(&gradient) {
                *p = *p * (1.0 - 0.01 * 0.5) - 0.01 * (0.9 * *m + 0.1 * g).signum();
                *m = 0.99 * *m + 0.01 * g;
            }
            for (found, expected) in session.parameter("p")?.to_f64_vec().iter().zip(&parameters) {
                approx::assert_relative_eq!(found, expected, epsilon = 1e-5);
            }
        }
        Ok(())
    }

    #[test]
    fn shares_are_below_one() {
        assert!(Lion::new(0.1).betas(0.9, 1.0).check().is_err_and(|message| message.starts_with("beta 2 is 1")));
        assert!(Lion::new(0.1).check().is_ok());
    }
}
