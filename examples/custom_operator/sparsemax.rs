//! Sparsemax: the probabilities nearest to a row of scores, many of which are exactly 0 (Martins and Astudillo 2016). An operator
//! that is a routine: kernels of its own with several variants, a form for the CPU, a gradient, and a decomposition that all of
//! them are checked against.

use wgrad::graph::{
    CpuRoutine, CustomOperator, GpuRoutine, Gradient, Graph, Kind, Operator, Routine, RoutineCost, Tensor, elements,
    elements_mut,
};
use wgrad::ops::Order;
use wgrad::shader::{Adapter, Bound, DispatchPlan, KernelPlan, Operand, RoutineShapes};
use wgrad::tensor::{DType, Element, TensorType};

/// Along the last axis.
#[derive(Clone, Debug)]
pub struct Sparsemax;

impl Operator for Sparsemax {
    fn name(&self) -> String {
        "sparsemax".into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        match inputs {
            [x] if x.dtype.is_float() && x.shape.last().is_some_and(|&columns| columns > 0) => {
                Ok(vec![TensorType::clone(x)])
            }
            [x] => Err(format!("wants rows of floats, not {x}")),
            _ => Err(format!("takes one tensor, not {}", inputs.len())),
        }
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Routine(Routine::new(self, self).accepts_epilogue(true))
    }

    /// Among the elements that are not 0, what arrives less its mean.
    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let (upstream, y) = (gradient.upstream[0].as_ref()?, &gradient.outputs[0]);
        let support = y.gt(0.0);
        let (arriving, count) = (support.select(upstream, 0.0), support.cast(y.dtype()).sum([-1]));
        let mean = (arriving.sum([-1]) / count).unsqueeze(-1);
        Some(vec![Some(support.select(upstream - mean, 0.0))])
    }

    /// From the sorted scores: as many of the largest as there are whose shares stay above 0.
    fn decompose(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let x = &inputs[0];
        let distance = x - x.max([-1]).unsqueeze(-1);
        let sorted = distance.sort(-1, Order::Descending).0;
        let numbers = (x.graph().coordinate(x.shape(), x.rank() - 1) + 1).cast(x.dtype());
        let support = (numbers * &sorted + 1.0).gt(sorted.cumulative_sum(-1));
        let sum = support.select(&sorted, 0.0).sum([-1]);
        let threshold = (sum - 1.0) / support.cast(x.dtype()).sum([-1]);
        Some(vec![(distance - threshold.unsqueeze(-1)).relu()])
    }

    fn cost(&self, inputs: &[&TensorType], _: &[&TensorType]) -> RoutineCost {
        RoutineCost { flops: 60 * inputs[0].len() as u64 }
    }
}

impl CpuRoutine for Sparsemax {
    fn evaluate(&self, inputs: &[(&Operand, &[u8])], outputs: &mut [(&TensorType, &mut [u8])]) -> Result<(), String> {
        let columns = outputs[0].0.shape.last().copied().unwrap_or(1);
        match outputs[0].0.dtype {
            DType::F64 => rows::<f64>(columns, elements(&inputs[0])?, elements_mut(&mut outputs[0])?),
            _ => rows::<f32>(columns, elements(&inputs[0])?, elements_mut(&mut outputs[0])?),
        }
        Ok(())
    }
}

fn rows<T: Element>(columns: usize, source: &[T], result: &mut [T]) {
    for (source, result) in source.chunks(columns).zip(result.chunks_mut(columns)) {
        let largest = source.iter().map(|x| x.to_f64()).fold(f64::NEG_INFINITY, |a, b| if a > b { a } else { b });
        let is_broken = !largest.is_finite() || source.iter().any(|x| x.to_f64().is_nan());
        let distances: Vec<f64> = source.iter().map(|x| x.to_f64() - largest).collect();
        let mut sorted = distances.clone();
        sorted.sort_unstable_by(|a, b| b.total_cmp(a));
        let (mut sum, mut threshold) = (0.0, f64::NAN);
        for (index, value) in sorted.into_iter().enumerate() {
            sum += value;
            let count = index as f64 + 1.0;
            if is_broken || count * value + 1.0 <= sum {
                break;
            }
            threshold = (sum - 1.0) / count;
        }
        for (result, distance) in result.iter_mut().zip(distances) {
            let share = distance - threshold;
            *result = T::from_f64(if share < 0.0 { 0.0 } else { share });
        }
    }
}

impl GpuRoutine for Sparsemax {
    fn kernels(&self, shapes: &RoutineShapes<'_>, _: &Adapter) -> Result<Vec<KernelPlan>, String> {
        Ok(vec![plan(shapes, 64)?])
    }

    fn candidates(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        let widths = [64, 8, 32, 256].into_iter();
        widths.filter(|&width| width <= adapter.limits.workgroup_invocations).map(|width| plan(shapes, width)).collect()
    }
}

/// A workgroup of some width for each row.
fn plan(shapes: &RoutineShapes<'_>, width: usize) -> Result<KernelPlan, String> {
    let shape = &shapes.outputs[0].shape;
    let columns = shape.last().copied().unwrap_or(1);
    let matrix_rows = shape.iter().rev().nth(1).copied().unwrap_or(1);
    let rows = shape.len() / columns;
    let dispatch = DispatchPlan::wgsl(format!("sparsemax of {width}"), include_str!("sparsemax.wgsl"))
        .constant("WIDTH", width as u32)
        .params([rows, columns, matrix_rows])
        .reads(Bound::Input(0))
        .finishes(shapes)
        .folded_workgroups(rows)?;
    Ok(dispatch.into())
}

impl CustomOperator for Sparsemax {
    fn identity(&self) -> Option<String> {
        Some("sparsemax".into())
    }
}

/// Sparsemax along the last axis.
#[track_caller]
pub fn sparsemax(g: &Graph, scores: &Tensor) -> Tensor {
    g.custom1(Sparsemax, &[scores])
}
