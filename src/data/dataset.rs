//! A data set: named tensors whose first axis counts the examples.

use super::scaler::{class_index, label_out_of_range};
use crate::error::{Error, Result, counted};
use crate::scalar::threefry::HostRandom;
use crate::tensor::{Storage, TensorData, TensorType};

/// The sub-stream of a seed that orders epochs; [`split`](super::split) has its own.
const EPOCH_ORDER: u32 = 0x6f72_6465;

/// Named tensors of equal first extent, the number of examples; by default trainers take `x` for the input and `y` for the target.
///
/// ```
/// use wgrad::{data::Dataset, tensor::TensorData};
/// let x = TensorData::from_vec((0..20).map(|value| value as f32).collect(), [10, 2])?;
/// let y = TensorData::from_vec((0..10).map(|value| value % 2).collect(), [10])?;
/// let (train, test) = Dataset::new([("x", x), ("y", y)])?.split(0.8, 42)?;
/// assert_eq!((train.len(), test.len()), (8, 2));
/// for batch in train.batches(&train.epoch_order(42, 0), 3)? {
///     assert!(batch.len() <= 3); // indices of examples
/// }
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    columns: Vec<(String, TensorData)>,
    class_names: Vec<String>,
    examples: usize,
}

/// The batches of an epoch: slices of its order, see [`Dataset::batches`].
pub type Batches<'order> = std::slice::Chunks<'order, usize>;

impl Dataset {
    /// A data set of columns.
    ///
    /// # Errors
    /// [`Error::Data`] where there is no column or no example, where the columns differ in length, where one is a
    /// single value without an axis, or where two have one name.
    pub fn new<Name: Into<String>>(columns: impl IntoIterator<Item = (Name, TensorData)>) -> Result<Self> {
        let mut dataset = Self { columns: Vec::new(), class_names: Vec::new(), examples: 0 };
        for (name, values) in columns {
            let name = name.into();
            let Some(&examples) = values.shape().first() else {
                return Err(Error::Data(format!(
                    "column '{name}' is a single value; its first axis must count the examples"
                )));
            };
            if examples == 0 {
                return Err(Error::Data(format!("the data set is empty: column '{name}' is {}", values.ty())));
            }
            match dataset.columns.first() {
                Some((first, _)) if dataset.examples != examples => {
                    return Err(Error::Data(format!(
                        "columns differ in length: '{first}' has {}, '{name}' has {examples}",
                        counted(dataset.examples, "example")
                    )));
                }
                _ => dataset.examples = examples,
            }
            if dataset.columns.iter().any(|(other, _)| *other == name) {
                return Err(Error::Data(format!("there are two columns named '{name}'")));
            }
            dataset.columns.push((name, values));
        }
        if dataset.columns.is_empty() {
            return Err(Error::Data("the data set is empty: it has no columns".into()));
        }
        Ok(dataset)
    }

    /// The same with names for the classes, in the order of their labels.
    #[must_use]
    pub fn with_class_names<Name: Into<String>>(mut self, names: impl IntoIterator<Item = Name>) -> Self {
        self.class_names = names.into_iter().map(Into::into).collect();
        self
    }

    /// Number of examples; at least 1.
    pub const fn len(&self) -> usize {
        self.examples
    }

    /// False: an empty data set cannot be made.
    pub const fn is_empty(&self) -> bool {
        self.examples == 0
    }

    /// The names of the classes; empty where none were given.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// All columns, in the order given.
    pub fn columns(&self) -> &[(String, TensorData)] {
        &self.columns
    }

    /// The column of a name.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is none.
    pub fn column(&self, name: &str) -> Result<&TensorData> {
        self.columns.iter().find_map(|(own, values)| (own == name).then_some(values)).ok_or_else(|| {
            let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
            Error::Argument(format!("there is no column '{name}'; there are {}", names.join(", ")))
        })
    }

    /// The same with one column made anew, as by [`Scaler::apply`](super::Scaler::apply).
    ///
    /// # Errors
    /// [`Error::Argument`] where there is no such column, what `change` returns, and as for [`new`](Self::new).
    pub fn map_column(&self, name: &str, change: impl FnOnce(&TensorData) -> Result<TensorData>) -> Result<Self> {
        let mut changed = Some(change(self.column(name)?)?);
        let columns = self.columns.iter().map(|(own, values)| {
            let values = if own == name { changed.take() } else { None }.unwrap_or_else(|| values.clone());
            (own.clone(), values)
        });
        Ok(Self::new(columns)?.with_class_names(self.class_names.iter().cloned()))
    }

    /// A data set of the examples at these indices, in that order; an index may occur more than once.
    ///
    /// # Errors
    /// [`Error::Argument`] for an index beyond the data, [`Error::Data`] for no indices at all.
    pub fn take(&self, indices: &[usize]) -> Result<Self> {
        let columns = self.columns.iter().map(|(name, values)| Ok((name.clone(), self.gather(values, indices)?)));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(Self::new(columns)?.with_class_names(self.class_names.iter().cloned()))
    }

    fn gather(&self, values: &TensorData, indices: &[usize]) -> Result<TensorData> {
        let row = values.bytes().len() / self.examples;
        let mut storage = Storage::zeroed(row * indices.len());
        // An example without elements has no bytes to copy, but its index is still checked.
        let mut targets = storage.as_mut_slice::<u8>().chunks_exact_mut(row.max(1));
        for &index in indices {
            let source = (index < self.examples).then(|| values.bytes().get(index * row..(index + 1) * row)).flatten();
            let source = source.ok_or_else(|| {
                Error::Argument(format!("there is no example {index}; there are {}, counted from 0", self.examples))
            })?;
            if let Some(target) = targets.next() {
                target.copy_from_slice(source);
            }
        }
        let dims: Vec<usize> = [indices.len()].into_iter().chain(values.shape().iter().copied().skip(1)).collect();
        TensorData::from_bytes(TensorType::new(values.dtype(), dims), storage.as_slice())
    }

    /// A column of integer labels, `[n]` or `[n, 1]`, of whatever element type, counted from 0.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is no such column; [`Error::Data`] where it has another shape, or values that
    /// are no labels.
    pub fn labels(&self, name: &str) -> Result<Vec<usize>> {
        let column = self.column(name)?;
        if column.len() != self.examples {
            return Err(Error::Data(format!("column '{name}' is {}, and labels are one a example", column.ty())));
        }
        let label = |(example, value): (usize, f64)| {
            class_index(value, u32::MAX as usize).ok_or_else(|| {
                Error::Data(format!("column '{name}': {value} of example {example} is no label (0, 1, 2, …)"))
            })
        };
        column.to_f64_vec().into_iter().enumerate().map(label).collect()
    }

    /// Checks that every label of a column is one of 0 … classes-1.
    ///
    /// # Errors
    /// As for [`labels`](Self::labels), and [`Error::Data`] for the first label out of range.
    pub fn check_labels(&self, name: &str, classes: usize) -> Result<()> {
        match self.labels(name)?.into_iter().enumerate().find(|&(_, label)| label >= classes) {
            Some((example, label)) => Err(label_out_of_range(label as f64, example, classes)),
            None => Ok(()),
        }
    }

    /// The order of the examples in an epoch: a permutation that depends on nothing but seed, epoch and length, so that
    /// a resumed run sees the same batches.
    pub fn epoch_order(&self, seed: u64, epoch: u64) -> Vec<usize> {
        let random = HostRandom::new(seed).fold(EPOCH_ORDER);
        random.fold(epoch as u32).fold((epoch >> 32) as u32).permutation(self.examples)
    }

    /// An order cut into batches of indices. The last batch is smaller where the sizes do not fit.
    ///
    /// # Errors
    /// [`Error::Argument`] for a batch of 0, and for one larger than the data.
    pub fn batches<'order>(&self, order: &'order [usize], batch_size: usize) -> Result<Batches<'order>> {
        if batch_size == 0 {
            return Err(Error::Argument("the batch size is 0, and must be at least 1".into()));
        }
        if batch_size > self.examples {
            return Err(Error::Argument(format!(
                "the batch size is {batch_size}, but the data set has only {}",
                counted(self.examples, "example")
            )));
        }
        Ok(order.chunks(batch_size))
    }

    /// The same without a last batch that is smaller.
    ///
    /// # Errors
    /// As of [`batches`](Self::batches).
    pub fn full_batches<'order>(&self, order: &'order [usize], batch_size: usize) -> Result<Batches<'order>> {
        let batches = self.batches(order, batch_size)?;
        let full = order.len() / batch_size * batch_size;
        Ok(order.get(..full).map_or(batches, |order| order.chunks(batch_size)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    fn ten() -> Result<Dataset> {
        let x = TensorData::from_vec((0..20_u8).collect(), [10, 2, 1])?;
        let y = TensorData::from_vec((0..10).map(|value| value % 3).collect::<Vec<i32>>(), [10])?;
        Dataset::new([("x", x), ("y", y)])
    }

    fn message<T>(result: Result<T>) -> String {
        result.err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn examples_are_taken_whole() -> Result<()> {
        let taken = ten()?.with_class_names(["a", "b", "c"]).take(&[9, 0, 9])?;
        assert_eq!(taken.column("x")?, &TensorData::from_vec(vec![18_u8, 19, 0, 1, 18, 19], [3, 2, 1])?);
        assert_eq!(taken.labels("y")?, [0, 0, 0]);
        assert_eq!(taken.class_names(), ["a", "b", "c"]);
        let hollow = Dataset::new([("x", TensorData::zeros(DType::F32, [3, 0]))])?;
        assert_eq!(hollow.take(&[2, 1])?.column("x")?.shape().dims(), [2, 0]);
        assert!(hollow.take(&[3]).is_err());
        Ok(())
    }

    #[test]
    fn an_epoch_visits_each_example_once_in_an_order_of_its_own() -> Result<()> {
        let data = ten()?;
        let order = data.epoch_order(1, 0);
        assert_eq!(order, data.epoch_order(1, 0));
        assert_ne!(order, data.epoch_order(1, 1));
        assert_ne!(order, data.epoch_order(2, 0));
        let sizes = |batches: Batches<'_>| batches.map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(sizes(data.batches(&order, 4)?), [4, 4, 2]);
        assert_eq!(sizes(data.full_batches(&order, 4)?), [4, 4]);
        let mut visited = data.batches(&order, 3)?.flatten().copied().collect::<Vec<_>>();
        visited.sort_unstable();
        assert_eq!(visited, (0..10).collect::<Vec<_>>());
        Ok(())
    }

    #[test]
    fn mistakes_are_named() -> Result<()> {
        let data = ten()?;
        let zeros = |length: usize| TensorData::zeros(DType::F32, [length, 1]);
        assert_eq!(message(data.full_batches(&[], 64)), "the batch size is 64, but the data set has only 10 examples");
        assert!(message(data.batches(&[], 0)).contains("at least 1"));
        assert_eq!(message(data.take(&[10])), "there is no example 10; there are 10, counted from 0");
        assert!(message(data.take(&[])).contains("empty"));
        assert_eq!(message(data.column("z")), "there is no column 'z'; there are x, y");
        let unequal = Dataset::new([("x", zeros(3)), ("y", zeros(4))]);
        assert_eq!(message(unequal), "columns differ in length: 'x' has 3 examples, 'y' has 4");
        assert!(message(Dataset::new([("x", zeros(0))])).contains("empty"));
        assert!(message(Dataset::new::<&str>([])).contains("empty"));
        assert!(message(Dataset::new([("x", zeros(3)), ("x", zeros(3))])).contains("two columns"));
        assert!(message(Dataset::new([("x", TensorData::scalar(1.0_f32))])).contains("single value"));
        let expected = "label 2 of example 2 is out of range: with 2 classes, labels are 0 to 1";
        assert_eq!(message(data.check_labels("y", 2)), expected);
        data.check_labels("y", 3)?;
        assert!(message(data.labels("x")).contains("labels are one"));
        let halves = Dataset::new([("y", TensorData::from_vec(vec![0.5_f32], [1, 1])?)])?;
        assert!(message(halves.labels("y")).contains("0.5 of example 0 is no label"));
        Ok(())
    }

    #[test]
    fn a_column_is_made_anew() -> Result<()> {
        let data = ten()?.map_column("x", |x| x.cast(DType::F32))?;
        assert_eq!(data.column("x")?.dtype(), DType::F32);
        assert!(data.map_column("x", |_| Ok(TensorData::zeros(DType::F32, [9]))).is_err());
        Ok(())
    }
}
