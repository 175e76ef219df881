//! Data sets in memory, and the files they come from.
//!
//! A [`Dataset`] is a few named tensors whose first axis counts the examples. Readers make tensors ([`idx`], [`npy`])
//! or tables ([`Csv`]), which become data sets through a [`Preparation`]; that, and a [`Scaler`], is fitted on the training part
//! and applied to both, in f64 until a feature is written. Texts become numbers in [`text`]. What is larger than memory is a [`Stream`];
//! [`SparseRows`] become dense a batch at a time.
//!
//! What a training loop needs of a data set is lists of indices: the device holds the columns and gathers the batches itself.
//! Pictures therefore stay [`DType::U8`](crate::tensor::DType::U8) here, a quarter of the memory.

#[cfg(feature = "datasets")]
mod column;
#[cfg(feature = "datasets")]
mod csv;
mod dataset;
#[cfg(feature = "datasets")]
mod date;
#[cfg(feature = "datasets")]
mod format;
#[cfg(feature = "datasets")]
pub mod idx;
#[cfg(feature = "datasets")]
mod missing;
pub mod npy;
#[cfg(feature = "datasets")]
mod preparation;
mod scaler;
#[cfg(feature = "datasets")]
mod series;
#[cfg(feature = "datasets")]
mod single_precision;
mod sparse;
mod split;
mod spread;
mod stream;
#[cfg(feature = "datasets")]
mod table;
pub mod text;

#[cfg(feature = "datasets")]
pub use column::{Column, Values};
#[cfg(feature = "datasets")]
pub use csv::{Csv, Header};
pub use dataset::{Batches, Dataset};
#[cfg(feature = "datasets")]
pub use format::Format;
#[cfg(feature = "datasets")]
pub use missing::Missing;
#[cfg(feature = "datasets")]
pub use preparation::{DescribedColumn, Goal, Parts, Preparation, PreparationOptions, TakenAs};
pub use scaler::{Scaler, one_hot};
pub(crate) use scaler::{class_index, label_out_of_range};
#[cfg(feature = "datasets")]
pub use series::{Series, SeriesWindows};
pub use sparse::{SparseExamples, SparseRows};
pub use split::Fold;
pub(crate) use stream::Cut;
pub use stream::{Examples, Source, Stream};
#[cfg(feature = "datasets")]
pub use table::{Table, Target};
pub use text::{
    BagOfWords, BagOfWordsOptions, CharVocabulary, Corpus, Encoding, Frequency, PaddedRows, RowNorm, RowOptions, TfIdf,
    TfIdfOptions, WordEmbeddings, WordVocabulary, WordWindows, read_text, streams, words,
};

/// The number of elements of a shape read from a file, unless it is beyond what the machine can address.
fn checked_len(dims: &[usize]) -> Option<usize> {
    // Zeros are left out, so that a file cannot hide an absurd extent behind one; strides are computed from it later.
    let nonzero = dims.iter().filter(|&&dim| dim != 0).try_fold(1_usize, |product, &dim| product.checked_mul(dim))?;
    let addressable = nonzero.checked_mul(8).is_some_and(|bytes| isize::try_from(bytes).is_ok());
    addressable.then_some(if dims.contains(&0) { 0 } else { nonzero })
}
