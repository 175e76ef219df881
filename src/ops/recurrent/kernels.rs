//! The plans of recurrences.

use super::Recurrent;
use crate::shader::{Adapter, KernelPlan, RoutineShapes};

pub(super) fn plans(
    recurrent: &Recurrent,
    _shapes: &RoutineShapes<'_>,
    _adapter: &Adapter,
) -> Result<Vec<KernelPlan>, String> {
    Err(format!("{} has no GPU kernel yet", recurrent.cell.name()))
}
