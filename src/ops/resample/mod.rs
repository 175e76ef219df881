//! Resampling along an axis by a sparse linear map, and interpolation, which is that along each spatial axis.
//!
//! The map's table is a constant of the graph. The gradient is the same operator with the transposed table, so that backward
//! passes gather as forward ones do.

mod interpolate;
mod table;
#[cfg(test)]
mod tests;

use super::Op;
use crate::error::Result as Outcome;
use crate::graph::{CpuRoutine, GpuRoutine, Gradient, Kind, Operator, Routine, RoutineCost, Tensor};
use crate::parallel::each_chunk;
use crate::shader::slot::{Element, Finish};
use crate::shader::{Adapter, Bound, DispatchPlan, Kernel, KernelFile, KernelPlan, Operand, RoutineShapes};
use crate::tensor::{DType, Shape, TensorData, TensorType};
use table::Table;

pub use interpolate::Interpolate;
pub use table::{AxisMap, Interpolation};

/// A sparse linear map along one axis: result `o` is `Σ weight[o, k] · x[index[o, k]]`. Its second input is the map's table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resample {
    /// Which axis; not the first.
    pub axis: usize,
    /// The map.
    pub map: AxisMap,
}

/// Words of a weight in a table for elements of a type: its bits, so that a table is one tensor.
fn words(dtype: DType) -> usize {
    if dtype == DType::F64 { 2 } else { 1 }
}

impl Resample {
    /// Starts, indices and weights as i32: what the kernel binds.
    pub(crate) fn table(&self, dtype: DType) -> Outcome<TensorData> {
        let Table { starts, indices, weights } = self.map.table();
        let mut numbers: Vec<i32> = starts.iter().chain(&indices).map(|&number| number as i32).collect();
        for weight in weights {
            if words(dtype) == 2 {
                numbers.extend(bytemuck::cast::<f64, [i32; 2]>(weight));
            } else {
                numbers.push(bytemuck::cast(weight as f32));
            }
        }
        let count = numbers.len();
        TensorData::from_vec(numbers, [count])
    }

    #[track_caller]
    fn apply(self, x: &Tensor) -> Tensor {
        match self.table(x.dtype()) {
            Ok(table) => x.graph().apply1(Op::Resample(self), &[x, &x.graph().constant(table)]),
            Err(error) => x.graph().mistake("resample", error.to_string()),
        }
    }

    /// Elements before and after an axis.
    fn around(&self, shape: &Shape) -> (usize, usize) {
        (shape[..self.axis].iter().product(), shape[self.axis + 1..].iter().product())
    }

    /// Entries of a table for elements of a type, from its length.
    fn entries(&self, table: &TensorType, dtype: DType) -> usize {
        table.len().saturating_sub(self.map.ends().1 + 1) / (1 + words(dtype))
    }

    fn run<T: Real>(&self, inputs: &[(&Operand, &[u8])], outputs: &mut [(&TensorType, &mut [u8])], dtype: DType) {
        let (ty, out) = &mut outputs[0];
        let (elements, results) = self.map.ends();
        let (_, inner) = self.around(&ty.shape);
        if ty.is_empty() {
            return;
        }
        let source: &[T] = &bytemuck::cast_slice(inputs[0].1)[..inputs[0].0.ty.len()];
        let table: &[i32] = &bytemuck::cast_slice(inputs[1].1)[..inputs[1].0.ty.len()];
        let out: &mut [T] = &mut bytemuck::cast_slice_mut(out)[..ty.len()];
        let entries = self.entries(&inputs[1].0.ty, dtype);
        let (starts, rest) = table.split_at(results + 1);
        let (indices, weights) = rest.split_at(entries);
        each_chunk(out, results * inner, true, |outer, out| {
            let source = &source[outer * elements * inner..][..elements * inner];
            for (row, out) in out.chunks_mut(inner).enumerate() {
                out.fill(T::zeroed());
                let entries = starts[row] as usize..starts[row + 1] as usize;
                for (k, &index) in entries.clone().zip(&indices[entries]) {
                    let weight = T::weight(weights, k);
                    let start = index as usize * inner;
                    let line = out.iter_mut().zip(&source[start..start + inner]);
                    line.for_each(|(out, &x)| *out = T::add(*out, weight, x));
                }
            }
        });
    }
}

/// What tables' weights are read in.
trait Real: bytemuck::Pod + Send + Sync {
    fn weight(bits: &[i32], entry: usize) -> Self;
    fn add(sum: Self, weight: Self, x: Self) -> Self;
}

impl Real for f32 {
    fn weight(bits: &[i32], entry: usize) -> Self {
        bytemuck::cast(bits[entry])
    }
    fn add(sum: Self, weight: Self, x: Self) -> Self {
        sum + weight * x
    }
}

impl Real for f64 {
    fn weight(bits: &[i32], entry: usize) -> Self {
        bytemuck::cast([bits[2 * entry], bits[2 * entry + 1]])
    }
    fn add(sum: Self, weight: Self, x: Self) -> Self {
        sum + weight * x
    }
}

impl Tensor {
    /// A sparse linear map along an axis: result `o` is the sum of the map's weights of `o` times the elements at their indices.
    #[track_caller]
    #[must_use]
    pub fn resample(&self, axis: isize, map: &AxisMap) -> Self {
        let Some(axis) = self.resolve_axis("resample", axis) else { return self.clone() };
        if axis > 0 {
            return Resample { axis, map: map.clone() }.apply(self);
        }
        let result = Resample { axis: 1, map: map.clone() }.apply(&self.unsqueeze(0));
        if self.graph().error().is_some() { result } else { result.squeeze(0) }
    }
}

impl Operator for Resample {
    fn name(&self) -> String {
        "resample".into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let (ty, table) = (inputs[0], inputs[1]);
        let (elements, results) = self.map.ends();
        if !ty.dtype.is_float() {
            return Err(format!("wants floats, not {}; cast first", ty.dtype));
        }
        if self.axis == 0 || ty.shape.rank() < 2 || ty.shape.get(self.axis) != Some(&elements) {
            return Err(format!("axis {} of {} does not have the map's {elements} elements", self.axis, ty.shape));
        }
        if table.dtype != DType::I32 || table.shape.rank() != 1 || table.len() <= results {
            return Err(format!("{table} is no table of {results} results"));
        }
        let dims: Shape =
            ty.shape.iter().enumerate().map(|(k, &extent)| if k == self.axis { results } else { extent }).collect();
        Ok(vec![TensorType::new(ty.dtype, dims)])
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Routine(Routine::new(self, self).accepts_epilogue(true))
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let upstream = gradient.upstream[0].as_ref()?;
        Some(vec![Some(Self { map: self.map.transpose(), axis: self.axis }.apply(upstream)), None])
    }

    fn cost(&self, inputs: &[&TensorType], outputs: &[&TensorType]) -> RoutineCost {
        let results = self.map.ends().1.max(1);
        let entries = self.entries(inputs[1], inputs[0].dtype.compute());
        RoutineCost { flops: 2 * (outputs[0].len() / results * entries) as u64 }
    }
}

impl CpuRoutine for Resample {
    fn evaluate(&self, inputs: &[(&Operand, &[u8])], outputs: &mut [(&TensorType, &mut [u8])]) -> Result<(), String> {
        match inputs[0].0.ty.dtype {
            DType::F32 => self.run::<f32>(inputs, outputs, DType::F32),
            DType::F64 => self.run::<f64>(inputs, outputs, DType::F64),
            dtype => return Err(format!("resample does not compute in {dtype}")),
        }
        Ok(())
    }
}

impl GpuRoutine for Resample {
    fn kernels(&self, shapes: &RoutineShapes<'_>, _: &Adapter) -> Result<Vec<KernelPlan>, String> {
        let out = &shapes.outputs[0];
        if out.is_empty() {
            return Ok(vec![KernelPlan::default()]);
        }
        if out.dtype != DType::F32 {
            return Err(format!("does not compute in {} on a GPU", out.dtype));
        }
        let [.., rows, columns] = *out.shape.dims() else { return Err("wants two axes or more".into()) };
        let epilogue = shapes.last_step();
        let finish = epilogue.emit(3);
        let stored = epilogue.expression.outputs.len();
        let kernel = Kernel::of(KernelFile::Resample).slot(Element::of(out.dtype)?).slot(Finish(&finish.module));
        let kernel = kernel.kernel("resample", 2 + finish.inputs.len(), stored)?;
        let (elements, results) = self.map.ends();
        let (_, inner) = self.around(&out.shape);
        let entries = self.entries(&shapes.inputs[1].ty, DType::F32);
        let words = [out.len(), elements, results, inner, rows, columns, entries];
        let bound = [Bound::Input(0), Bound::Input(1)]
            .into_iter()
            .chain(finish.inputs.iter().map(|&input| Bound::Input(2 + input)))
            .chain((0..stored).map(Bound::Output))
            .collect();
        let params = words.into_iter().map(|word| word as u32).chain(finish.params).collect();
        let dispatch = DispatchPlan { kernel, params, bound, workgroups: out.len().div_ceil(64) };
        Ok(vec![KernelPlan { dispatches: vec![dispatch], scratch: Vec::new() }])
    }
}
