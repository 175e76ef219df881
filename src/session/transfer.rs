//! Between the host's tensors and what a device holds of them, which on a GPU has 32 bits where the graph has 64.

use crate::compiler::VariablePlan;
use crate::device::execute::DeviceStore;
use crate::error::{Error, Result};
use crate::tensor::{DType, TensorData, TensorType};

/// A tensor from what a device holds of it.
pub(super) fn received(ty: &TensorType, stored: DType, bytes: &[u8]) -> Result<TensorData> {
    TensorData::from_bytes(TensorType::new(stored, &ty.shape), bytes)?.widened(ty.dtype)
}

/// What a device holds of a tensor of its own type, where it is another than that: checked and converted.
pub(super) fn sent(what: &str, name: &str, data: &TensorData, stored: DType) -> Result<Option<TensorData>> {
    if data.dtype() == stored {
        return Ok(None);
    }
    data.fitting().map(Some).map_err(|message| Error::Data(format!("{what} {name:?}: {message}")))
}

/// Gives a variable of a store a value of its own type.
pub(super) fn put(store: &mut DeviceStore, variable: &VariablePlan, value: &TensorData) -> Result<()> {
    let converted = sent("variable", &variable.name, value, variable.stored)?;
    store.write(variable.location, converted.as_ref().unwrap_or(value).bytes())
}
