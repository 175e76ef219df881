//! A data set in parts: training and test, and the folds of a cross-validation.

use super::Dataset;
use crate::error::{Error, Result, counted};
use crate::scalar::threefry::HostRandom;

/// The sub-stream of a seed that splits; the order of epochs has its own.
const SPLIT: u32 = 0x7370_6c69;

/// One round of a cross-validation: indices of examples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// What the round trains on.
    pub train: Vec<usize>,
    /// What it is judged by; each example is in this list in exactly one round.
    pub validation: Vec<usize>,
}

impl Dataset {
    /// Two parts of randomly chosen examples, the first with `fraction` of them (rounded).
    ///
    /// # Errors
    /// [`Error::Argument`] where a part would be empty.
    pub fn split(&self, fraction: f64, seed: u64) -> Result<(Self, Self)> {
        let first = self.part_size(fraction)?;
        let order = HostRandom::new(seed).fold(SPLIT).permutation(self.len());
        self.cut(&order, first)
    }

    /// As [`split`](Self::split), with the classes of the label column `labels` in the same proportion in both parts, as
    /// near as whole examples allow.
    ///
    /// # Errors
    /// [`Error::Argument`] where a part would be empty, or there is no such column; [`Error::Data`] where that column
    /// holds no labels.
    pub fn stratified_split(&self, labels: &str, fraction: f64, seed: u64) -> Result<(Self, Self)> {
        let first = self.part_size(fraction)?;
        let mut random = HostRandom::new(seed).fold(SPLIT);
        let classes = self.by_class(labels, &mut random)?;

        // Each class gives the whole part of its share; the examples still missing come from the classes with the
        // largest rests (Hamilton's method), so that the sizes are those of an ordinary split.
        let share = |class: &Vec<usize>| class.len() as f64 * first as f64 / self.len() as f64;
        let mut counts: Vec<usize> = classes.iter().map(|class| share(class) as usize).collect();
        let mut by_rest: Vec<usize> = (0..classes.len()).collect();
        by_rest.sort_by(|&left, &right| {
            let rest = |class: usize| classes.get(class).map_or(0.0, |class| share(class).fract());
            rest(right).total_cmp(&rest(left)).then(left.cmp(&right))
        });
        let missing = first.saturating_sub(counts.iter().sum());
        for class in by_rest.into_iter().take(missing) {
            counts.get_mut(class).into_iter().for_each(|count| *count += 1);
        }

        let (mut chosen, mut left) = (Vec::with_capacity(first), Vec::new());
        for (class, count) in classes.iter().zip(counts) {
            let (taken, rest) = class.split_at_checked(count).unwrap_or((class, &[]));
            chosen.extend_from_slice(taken);
            left.extend_from_slice(rest);
        }
        // The parts are shuffled, lest an epoch without shuffling would see one class after the other.
        random.shuffle(&mut chosen);
        random.shuffle(&mut left);
        Ok((self.take(&chosen)?, self.take(&left)?))
    }

    /// The rounds of a cross-validation over randomly dealt examples; the folds' sizes differ by at most one.
    ///
    /// # Errors
    /// [`Error::Argument`] for fewer than 2 folds, and for more than there are examples.
    pub fn k_fold(&self, folds: usize, seed: u64) -> Result<Vec<Fold>> {
        self.check_folds(folds)?;
        let order = HostRandom::new(seed).fold(SPLIT).permutation(self.len());
        Ok(deal(&order, folds))
    }

    /// As [`k_fold`](Self::k_fold), with the classes of the label column in the same proportion in each fold.
    ///
    /// # Errors
    /// As for [`k_fold`](Self::k_fold), and [`Error::Data`] where the column holds no labels.
    pub fn stratified_k_fold(&self, labels: &str, folds: usize, seed: u64) -> Result<Vec<Fold>> {
        self.check_folds(folds)?;
        let mut random = HostRandom::new(seed).fold(SPLIT);
        // Dealing class after class, round and round, gives each fold its share of each.
        Ok(deal(&self.by_class(labels, &mut random)?.concat(), folds))
    }

    fn check_folds(&self, folds: usize) -> Result<()> {
        if (2..=self.len()).contains(&folds) {
            return Ok(());
        }
        Err(Error::Argument(format!(
            "{} of {} cannot be: there must be at least 2, and an example for each",
            counted(folds, "fold"),
            counted(self.len(), "example")
        )))
    }

    /// The examples of each class, in random order.
    fn by_class(&self, labels: &str, random: &mut HostRandom) -> Result<Vec<Vec<usize>>> {
        let mut classes = std::collections::BTreeMap::<usize, Vec<usize>>::new();
        for (example, label) in self.labels(labels)?.into_iter().enumerate() {
            classes.entry(label).or_default().push(example);
        }
        let mut classes: Vec<Vec<usize>> = classes.into_values().collect();
        classes.iter_mut().for_each(|class| random.shuffle(class));
        Ok(classes)
    }

    /// The number of examples in the first part.
    fn part_size(&self, fraction: f64) -> Result<usize> {
        let first = (fraction * self.len() as f64).round();
        if first >= 1.0 && first < self.len() as f64 {
            return Ok(first as usize);
        }
        Err(Error::Argument(format!(
            "a part of {fraction} of {} leaves one part empty",
            counted(self.len(), "example")
        )))
    }

    fn cut(&self, order: &[usize], first: usize) -> Result<(Self, Self)> {
        let (chosen, left) = order.split_at_checked(first).unwrap_or((order, &[]));
        Ok((self.take(chosen)?, self.take(left)?))
    }
}

/// Deals the examples to the folds like cards.
fn deal(order: &[usize], folds: usize) -> Vec<Fold> {
    let round = |fold| {
        let belongs = |position: usize| position % folds == fold;
        let part = |wanted: bool| {
            let examples = order.iter().enumerate().filter(|&(position, _)| belongs(position) == wanted);
            examples.map(|(_, &example)| example).collect()
        };
        Fold { train: part(false), validation: part(true) }
    };
    (0..folds).map(round).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::TensorData;

    /// Of n examples, each tenth is of class 2, three tenths of class 1, the rest of class 0.
    fn uneven(examples: i32) -> Result<Dataset> {
        let label = |example: i32| [2, 1, 1, 1, 0, 0, 0, 0, 0, 0][example as usize % 10];
        let count = examples as usize;
        let x = TensorData::from_vec((0..examples).collect::<Vec<i32>>(), [count])?;
        let y = TensorData::from_vec((0..examples).map(label).collect::<Vec<i32>>(), [count, 1])?;
        Dataset::new([("x", x), ("y", y)])
    }

    fn counts(data: &Dataset) -> Result<[usize; 3]> {
        let mut counts = [0; 3];
        data.labels("y")?.into_iter().for_each(|label| counts[label] += 1);
        Ok(counts)
    }

    fn examples(parts: &[&Dataset]) -> Result<Vec<i32>> {
        let mut all = Vec::new();
        for part in parts {
            all.extend_from_slice(part.column("x")?.as_slice::<i32>()?);
        }
        all.sort_unstable();
        Ok(all)
    }

    #[test]
    fn the_parts_are_the_whole_and_the_seed_decides() -> Result<()> {
        let data = uneven(101)?;
        let (train, test) = data.split(0.8, 5)?;
        assert_eq!((train.len(), test.len()), (81, 20));
        assert_eq!(examples(&[&train, &test])?, (0..101).collect::<Vec<_>>());
        assert_eq!(data.split(0.8, 5)?, (train.clone(), test));
        assert_ne!(data.split(0.8, 6)?.0, train);
        Ok(())
    }

    #[test]
    fn a_stratified_split_keeps_the_proportions() -> Result<()> {
        let data = uneven(101)?;
        let (train, test) = data.stratified_split("y", 0.8, 5)?;
        assert_eq!((train.len(), test.len()), (81, 20));
        assert_eq!(examples(&[&train, &test])?, (0..101).collect::<Vec<_>>());
        assert_eq!(counts(&data)?, [60, 30, 11]);
        assert_eq!(counts(&train)?, [48, 24, 9]);
        Ok(())
    }

    #[test]
    fn each_example_is_judged_once() -> Result<()> {
        let data = uneven(103)?;
        for (folds, stratified) in [(data.k_fold(5, 1)?, false), (data.stratified_k_fold("y", 5, 1)?, true)] {
            let mut judged: Vec<usize> = folds.iter().flat_map(|fold| fold.validation.iter().copied()).collect();
            judged.sort_unstable();
            assert_eq!(judged, (0..103).collect::<Vec<_>>());
            for fold in &folds {
                assert_eq!(fold.train.len() + fold.validation.len(), 103);
                assert!((20..=21).contains(&fold.validation.len()));
                assert!(fold.train.iter().all(|example| !fold.validation.contains(example)));
                let [_, ones, twos] = counts(&data.take(&fold.validation)?)?;
                assert!(!stratified || ((6..=7).contains(&ones) && (2..=3).contains(&twos)));
            }
        }
        Ok(())
    }

    #[test]
    fn impossible_parts_are_errors() -> Result<()> {
        let data = uneven(10)?;
        for fraction in [0.0, 1.0, 0.01, 0.99, -1.0, 2.0, f64::NAN] {
            assert!(matches!(data.split(fraction, 0), Err(Error::Argument(_))), "{fraction}");
            assert!(matches!(data.stratified_split("y", fraction, 0), Err(Error::Argument(_))), "{fraction}");
        }
        for folds in [0, 1, 11] {
            assert!(matches!(data.k_fold(folds, 0), Err(Error::Argument(_))), "{folds}");
        }
        assert!(data.stratified_split("z", 0.5, 0).is_err());
        Ok(())
    }
}
