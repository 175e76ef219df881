//! What a run leaves behind for its plot: the loss of each step, and the epochs.

use wgrad::train::EpochRecord;

/// As many points as a line in a picture needs.
const POINTS: usize = 300;

/// Points of a run, over epochs.
#[derive(Clone, Debug, Default)]
pub struct Curve {
    /// Steps of an epoch, which turn steps into epochs.
    pub steps_per_epoch: u64,
    /// Step and loss.
    pub losses: Vec<(u64, f64)>,
    /// Finished epochs, with what came before a resume.
    pub epochs: Vec<EpochRecord>,
}

impl Curve {
    /// The same with the epochs.
    #[must_use]
    pub fn with_epochs(mut self, epochs: &[EpochRecord]) -> Self {
        self.epochs = epochs.to_vec();
        self
    }

    /// A step's position on the axis of epochs.
    pub fn epoch_of(&self, step: u64) -> f64 {
        step as f64 / self.steps_per_epoch.max(1) as f64
    }

    /// The loss of each step, over epochs.
    pub fn raw(&self) -> Vec<(f64, f64)> {
        self.losses.iter().map(|&(step, loss)| (self.epoch_of(step), loss)).collect()
    }

    /// The mean of the losses around a step, over a hundredth of the run to either side, at up to [`POINTS`] steps.
    pub fn smoothed(&self) -> Vec<(f64, f64)> {
        let reach = (self.losses.len() / 100).max(2);
        let mut sums = vec![0.0];
        for (_, loss) in &self.losses {
            sums.push(sums.last().copied().unwrap_or(0.0) + loss);
        }
        let last = self.losses.len().saturating_sub(1);
        let mut indices: Vec<usize> = (0..=last).step_by(self.losses.len().div_ceil(POINTS).max(1)).collect();
        if indices.last() != Some(&last) {
            indices.push(last);
        }
        let mean = |index: usize| {
            let (first, end) = (index.saturating_sub(reach), (index + reach + 1).min(self.losses.len()));
            let mean = (sums.get(end)? - sums.get(first)?) / (end - first) as f64;
            Some((self.epoch_of(self.losses.get(index)?.0), mean))
        };
        indices.into_iter().filter_map(mean).collect()
    }

    /// A validation value over epochs.
    pub fn validation(&self, name: &str) -> Vec<(f64, f64)> {
        let points =
            self.epochs.iter().filter_map(|record| Some((self.epoch_of(record.step), record.validation(name)?)));
        points.filter(|(_, value)| value.is_finite()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_keeps_straight_lines_and_reaches_both_ends() {
        let losses = (1..=5000).map(|step| (step, step as f64)).collect();
        let curve = Curve { steps_per_epoch: 100, losses, epochs: Vec::new() };
        let smooth = curve.smoothed();
        assert!(smooth.len() <= POINTS + 1);
        assert_eq!(smooth.first().zip(smooth.last()).map(|(first, last)| [first.0, last.0]), Some([0.01, 50.0]));
        assert!(
            smooth
                .iter()
                .filter(|point| (1.0..49.0).contains(&point.0))
                .all(|(epoch, loss)| (epoch * 100.0 - loss).abs() < 1e-9)
        );
        assert!(Curve::default().smoothed().is_empty());
    }
}
