//! Lengths of the rows of a batch, looked over on the host.

use crate::error::{Error, Result};
use crate::tensor::{DType, TensorData};

/// Checks on the host that these are lengths of rows of at most `steps` steps: each from 1 to `steps`. A device takes what is below for no
/// step, and what is above for all of them.
///
/// ```
/// use wgrad::nn::check_lengths;
/// use wgrad::tensor::TensorData;
/// let lengths = TensorData::from_slice(&[17, 1, 0], [3])?;
/// let mistake = check_lengths(&lengths, 17).unwrap_err();
/// assert_eq!(mistake.to_string(), "row 2 has a length of 0, and must have from 1 to 17 steps");
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Data`] that names the first row that is out of range, or where the lengths are not i32 or i64 `[batch]`.
pub fn check_lengths(lengths: &TensorData, steps: usize) -> Result<()> {
    if !matches!(lengths.dtype(), DType::I32 | DType::I64) || lengths.shape().rank() != 1 {
        return Err(Error::Data(format!("lengths should be i32 or i64 of shape [batch], and are {}", lengths.ty())));
    }
    let out_of_range = |&(_, &length): &(usize, &i64)| usize::try_from(length).map_or(true, |n| n == 0 || n > steps);
    match lengths.cast(DType::I64)?.as_slice::<i64>()?.iter().enumerate().find(out_of_range) {
        Some((row, length)) => {
            Err(Error::Data(format!("row {row} has a length of {length}, and must have from 1 to {steps} steps")))
        }
        None => Ok(()),
    }
}
