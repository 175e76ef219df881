//! The programs of a trainer by what they are for. Each batch size and each data set makes programs of its own, so only the newest
//! stay: otherwise every size that was ever evaluated would keep its memory.

use super::resident::Resident;
use crate::session::Program;
use crate::tensor::TensorType;

/// Programs that stay. Training with a last batch of another size, validation and prediction take six.
const PROGRAMS: usize = 12;

/// Data sets that stay on the device.
const DATA_SETS: usize = 4;

/// What a program is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Train(Resident, usize),
    Evaluate(Resident, usize),
    /// Training, and evaluation, on batches that come from the host, of these inputs and targets.
    TrainOn(Vec<TensorType>),
    EvaluateOn(Vec<TensorType>),
    Predict(Vec<TensorType>),
    InputGradient(Vec<TensorType>),
}

impl Use {
    /// The data set that it reads.
    const fn resident(&self) -> Option<&Resident> {
        match self {
            Self::Train(resident, _) | Self::Evaluate(resident, _) => Some(resident),
            Self::TrainOn(_) | Self::EvaluateOn(_) | Self::Predict(..) | Self::InputGradient(..) => None,
        }
    }
}

/// Programs, the least recently used first.
#[derive(Debug, Default)]
pub(super) struct Programs(Vec<(Use, Program)>);

impl Programs {
    /// The program for a use, which is now the most recently used one.
    pub(super) fn find(&mut self, wanted: &Use) -> Option<Program> {
        let index = self.0.iter().position(|(known, _)| known == wanted)?;
        let entry = self.0.remove(index);
        let id = entry.1.clone();
        self.0.push(entry);
        Some(id)
    }

    /// Adds a program; returns those that are dropped for it, which are never `pinned`.
    pub(super) fn add(&mut self, wanted: Use, id: Program, pinned: Option<&Program>) -> Vec<Program> {
        self.0.push((wanted, id));
        let mut gone = Vec::new();
        loop {
            let sets = self.data_sets();
            let newest = self.0.len() - 1;
            let surplus = self.0.iter().take(newest).position(|(wanted, other)| {
                let of_oldest_set = sets.len() > DATA_SETS
                    && wanted
                        .resident()
                        .is_some_and(|resident| !sets.iter().rev().take(DATA_SETS).any(|recent| recent == resident));
                Some(other) != pinned && (of_oldest_set || self.0.len() > PROGRAMS)
            });
            match surplus {
                Some(index) => gone.push(self.0.remove(index).1),
                None => return gone,
            }
        }
    }

    /// Takes out the programs that read a data set.
    pub(super) fn without(&mut self, resident: &Resident) -> Vec<Program> {
        let reads = |wanted: &Use| wanted.resident() == Some(resident);
        let gone = self.0.iter().filter(|(wanted, _)| reads(wanted)).map(|(_, id)| id.clone()).collect();
        self.0.retain(|(wanted, _)| !reads(wanted));
        gone
    }

    /// The data sets that programs read, the least recently used first.
    pub(super) fn data_sets(&self) -> Vec<Resident> {
        let mut sets: Vec<Resident> = Vec::new();
        for resident in self.0.iter().filter_map(|(wanted, _)| wanted.resident()) {
            sets.retain(|known| known != resident);
            sets.push(resident.clone());
        }
        sets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dataset;
    use crate::tensor::{DType, TensorData};

    fn set(number: i32) -> Resident {
        Resident::of(&Dataset::new([("x", TensorData::from_vec(vec![number], [1]).unwrap())]).unwrap())
    }

    /// Ids that sessions would give out.
    fn ids() -> impl Iterator<Item = Program> {
        (0..).map(Program::numbered)
    }

    #[test]
    fn the_least_recently_used_program_is_dropped() {
        let (mut programs, mut ids) = (Programs::default(), ids());
        let first = ids.next().unwrap();
        assert!(programs.add(Use::Train(set(0), 8), first.clone(), None).is_empty());
        let mut gone = Vec::new();
        for size in 0..50 {
            gone.extend(programs.add(
                Use::Predict(vec![TensorType::new(DType::F32, [size])]),
                ids.next().unwrap(),
                None,
            ));
            assert!(
                size > 30 || programs.find(&Use::Train(set(0), 8)).as_ref() == Some(&first),
                "it was used again and again"
            );
        }
        assert_eq!((programs.0.len(), gone.len()), (PROGRAMS, 51 - PROGRAMS));
        assert_eq!(programs.find(&Use::Train(set(0), 8)), None);
        assert!(programs.find(&Use::Predict(vec![TensorType::new(DType::F32, [49])])).is_some());
    }

    #[test]
    fn programs_of_the_oldest_data_set_go_but_for_one_that_is_in_use() {
        let (mut programs, mut ids) = (Programs::default(), ids());
        let pinned = ids.next().unwrap();
        programs.add(Use::Train(set(0), 8), pinned.clone(), None);
        let mut gone = Vec::new();
        for number in 1..50 {
            for batch in [4, 3] {
                gone.extend(programs.add(Use::Evaluate(set(number), batch), ids.next().unwrap(), Some(&pinned)));
            }
        }
        assert_eq!(programs.find(&Use::Train(set(0), 8)), Some(pinned));
        let sets = programs.data_sets();
        assert_eq!(sets.len(), DATA_SETS + 1);
        assert!(sets.contains(&set(0)) && sets.contains(&set(49)) && !sets.contains(&set(40)));
        assert_eq!(programs.0.len() + gone.len(), 99);
    }
}
