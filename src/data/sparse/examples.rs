//! Sparse rows and their targets as a source of examples.

use super::SparseRows;
use crate::data::{Dataset, Source};
use crate::error::{Error, Result, counted};

/// The most dense values that are made at a time: 4 MB of f32.
const MOST_VALUES: usize = 1 << 20;

/// The most rows that are made dense at a time.
const MOST_ROWS: usize = 256;

/// Sparse rows as column `x`, dense f32 `[n, columns]`, beside other columns, for training on a [`Stream`](crate::data::Stream): only a
/// few batches are dense at any time.
///
/// It can be shuffled itself, as a whole, each epoch in an order of its own; a run that is resumed seeks. A stream's own
/// [`shuffle`](crate::data::Stream::shuffle) would hold a buffer of dense rows.
///
/// ```
/// use wgrad::data::{BagOfWordsOptions, Dataset, SparseExamples, Stream};
/// use wgrad::prelude::*;
/// let texts = ["a fine, fine film", "dull and long", "fine actors", "long, so long"];
/// let labels = TensorData::from_vec(vec![1.0_f32, 0.0, 1.0, 0.0], [4, 1])?;
/// let (bag, counts) = BagOfWordsOptions::new().fit_transform(texts)?;
/// let examples = SparseExamples::new(counts.clone(), &Dataset::new([("y", labels)])?)?.shuffle(7);
/// let model = Sequential::new([bag.len()]).dense(1).sigmoid();
/// let mut trainer = model.compile(&Device::cpu(), Adam::new(0.1), BinaryCrossEntropy, [Accuracy])?;
/// let history = trainer.fit(&mut Stream::new(examples), Fit::epochs(20).batch_size(2))?;
/// assert_eq!(history.epochs[19].step, 40);
/// let fine = trainer.predict(&bag.transform(["a fine comedy"]).dense(0..1)?)?;
/// assert!(fine.to_f64_vec()[0] > 0.5);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SparseExamples {
    rows: SparseRows,
    others: Dataset,
    name: String,
    seed: Option<u64>,
    /// The order of the epoch.
    order: Vec<usize>,
    next: usize,
}

impl SparseExamples {
    /// Rows beside the other columns of as many examples, such as the labels `y`.
    ///
    /// # Errors
    /// [`Error::Data`] where the numbers of rows and examples differ, or the others have an `x` too.
    pub fn new(rows: SparseRows, others: &Dataset) -> Result<Self> {
        let examples = Self { rows, others: others.clone(), name: "x".into(), seed: None, order: Vec::new(), next: 0 };
        examples.check()?;
        Ok(examples)
    }

    /// Another name for the column of the rows than `x`.
    ///
    /// # Errors
    /// [`Error::Data`] where another column has that name.
    pub fn column_name(mut self, name: impl Into<String>) -> Result<Self> {
        self.name = name.into();
        self.check()?;
        Ok(self)
    }

    /// Each epoch in an order that depends on the seed and the epoch alone, as [`Dataset::epoch_order`].
    #[must_use]
    pub const fn shuffle(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    fn check(&self) -> Result<()> {
        if self.rows.rows() != self.others.len() {
            return Err(Error::Data(format!(
                "there are {} and {}",
                counted(self.rows.rows(), "sparse row"),
                counted(self.others.len(), "example")
            )));
        }
        if self.others.columns().iter().any(|(name, _)| *name == self.name) {
            return Err(Error::Data(format!("there are two columns named '{}'", self.name)));
        }
        Ok(())
    }
}

impl Source for SparseExamples {
    fn begin(&mut self, epoch: u64) -> Result<()> {
        self.order = match self.seed {
            Some(seed) => self.others.epoch_order(seed, epoch),
            None => (0..self.rows.rows()).collect(),
        };
        self.next = 0;
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Dataset>> {
        let count = (MOST_VALUES / self.rows.columns().max(1)).clamp(1, MOST_ROWS);
        let rest = self.order.get(self.next..).unwrap_or_default();
        let Some(indices) = rest.get(..count.min(rest.len())).filter(|indices| !indices.is_empty()) else {
            return Ok(None);
        };
        let others = self.others.take(indices)?;
        let x = (self.name.clone(), self.rows.dense_rows(indices)?);
        self.next += indices.len();
        let columns = std::iter::once(x).chain(others.columns().iter().cloned());
        Ok(Some(Dataset::new(columns)?.with_class_names(others.class_names().iter().cloned())))
    }

    fn skip(&mut self, examples: u64) -> Result<u64> {
        let rest = self.order.len().saturating_sub(self.next);
        let count = usize::try_from(examples).unwrap_or(usize::MAX).min(rest);
        self.next += count;
        Ok(count as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Stream;
    use crate::data::stream::Cut;
    use crate::tensor::{DType, TensorData};

    /// 1000 rows, of which row i has i + 1 in column i modulo 7.
    fn rows() -> SparseRows {
        SparseRows::from_rows((0..1000_u32).map(|row| vec![(row % 7, (row + 1) as f32)]), 7)
    }

    fn others() -> Result<Dataset> {
        Dataset::new([("y", TensorData::from_vec((0..1000).collect::<Vec<i32>>(), [1000])?)])
    }

    /// The labels of batches of 64 after `done` of them, whose rows are checked.
    fn labels(examples: &SparseExamples, epoch: u64, done: u64) -> Result<Vec<usize>> {
        let mut found = Vec::new();
        let cut = Cut { seed: 1, epoch, size: 64, drop_last: false, done };
        let mut reader = Stream::new(examples.clone()).read(cut);
        while let Some(data) = reader.next()? {
            let x = data.column("x")?.to_f64_vec();
            for (row, label) in x.chunks_exact(7).zip(data.labels("y")?) {
                let expected = |column: usize| if label % 7 == column { (label + 1) as f64 } else { 0.0 };
                assert!(row.iter().enumerate().all(|(column, &value)| value == expected(column)));
                found.push(label);
            }
        }
        Ok(found)
    }

    #[test]
    fn rows_stay_beside_their_labels_and_a_resumed_run_seeks() -> Result<()> {
        let plain = SparseExamples::new(rows(), &others()?)?;
        assert!(labels(&plain, 3, 0)?.into_iter().eq(0..1000));
        let shuffled = plain.shuffle(5);
        let first = labels(&shuffled, 0, 0)?;
        assert_eq!(first, labels(&shuffled, 0, 0)?);
        assert_ne!(first, labels(&shuffled, 1, 0)?);
        assert_eq!(first, others()?.epoch_order(5, 0));
        for done in [1, 7, 15, 16] {
            assert_eq!(labels(&shuffled, 0, done)?, first[(64 * done as usize).min(1000)..]);
        }
        let mut source = shuffled;
        source.begin(0)?;
        assert_eq!((source.skip(990)?, source.skip(64)?), (990, 10)); // it seeks, to the end at most
        assert!(source.next()?.is_none());
        Ok(())
    }

    #[test]
    fn columns_must_fit() -> Result<()> {
        let message = |examples: Result<SparseExamples>| examples.unwrap_err().to_string();
        let few = Dataset::new([("y", TensorData::zeros(DType::F32, [3]))])?;
        assert_eq!(message(SparseExamples::new(rows(), &few)), "there are 1000 sparse rows and 3 examples");
        let named = SparseExamples::new(rows(), &others()?)?;
        assert_eq!(message(named.clone().column_name("y")), "there are two columns named 'y'");
        let mut named = named.column_name("counts")?;
        named.begin(0)?;
        let first = named.next()?.map(|data| data.column("counts").map(|counts| counts.shape().dims().to_vec()));
        assert_eq!(first.transpose()?, Some(vec![256, 7]));
        Ok(())
    }
}
