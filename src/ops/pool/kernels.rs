//! The pools' kernels: an invocation a window, or an element in backward passes.

use super::{Pool, PoolAxis, PoolKind};
use crate::shader::slot::{Element, Finish, Lanes, Lhs, Nan, PoolConstants, PoolStore, StoredConstants};
use crate::shader::{Adapter, Bound, DispatchPlan, Kernel, KernelFile, KernelPlan, RoutineShapes};
use crate::tensor::DType;

pub(super) fn plans(pool: &Pool, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
    let out = &shapes.outputs[0];
    if out.is_empty() {
        return Ok(vec![KernelPlan::default()]);
    }
    if out.dtype != DType::F32 {
        return Err(format!("does not compute in {} on a GPU", out.dtype));
    }
    let largest = shapes.inputs.iter().map(|input| input.ty.len()).max().unwrap_or(0).max(out.len());
    if largest > i32::MAX as usize {
        return Err(format!("{largest} elements are more than 32-bit addresses reach"));
    }
    let (steps, of) = match pool.kind {
        PoolKind::Max | PoolKind::Sum => (pool.axes.iter().map(PoolAxis::longest).product(), "windows"),
        PoolKind::MaxScatter | PoolKind::SumGradient => {
            (pool.axes.iter().map(PoolAxis::most_over).product(), "windows over an element:")
        }
        PoolKind::MaxGather => (1, ""),
    };
    let most: usize = adapter.most_iterations();
    if steps > most {
        return Err(format!("{of} {steps} are more than the {most} that {} can take", adapter.name));
    }
    Ok(vec![KernelPlan { dispatches: vec![dispatch(pool, shapes)?], scratch: Vec::new() }])
}

fn dispatch(pool: &Pool, shapes: &RoutineShapes<'_>) -> Result<DispatchPlan, String> {
    let out = &shapes.outputs[0];
    let dims = out.shape.dims();
    let [.., rows, columns] = *dims else { return Err("a pool has two axes or more".into()) };
    let [z, y, x] = pool.three().map(|axis| axis.constant());
    let axes = PoolConstants { z, y, x, rows, columns };
    let element = Element::of(out.dtype)?;
    let is = |dtype: DType| shapes.inputs[0].ty.dtype == dtype;
    let stored =
        StoredConstants { lhs_f16: is(DType::F16), lhs_bf16: is(DType::BF16), rhs_f16: false, rhs_bf16: false };
    if pool.kind == PoolKind::Max {
        let kernel = Kernel::of(KernelFile::PoolMax).slot(axes).slot(element).slot(Nan::Floats);
        let kernel = kernel.slot(stored).slot(Lhs::Elements);
        let kernel = kernel.kernel("pool_max", 1, 2)?;
        let params = vec![out.len() as u32, f32::NEG_INFINITY.to_bits(), 0];
        let bound = vec![Bound::Input(0), Bound::Output(0), Bound::Output(1)];
        return Ok(DispatchPlan { kernel, params, bound, workgroups: out.len().div_ceil(64) });
    }
    let file = match pool.kind {
        PoolKind::MaxScatter => KernelFile::PoolMaxScatter,
        PoolKind::MaxGather => KernelFile::PoolMaxGather,
        PoolKind::SumGradient => KernelFile::PoolSumGradient,
        PoolKind::Sum | PoolKind::Max => KernelFile::PoolSum,
    };
    let inputs = shapes.inputs.len();
    let epilogue = shapes.last_step();
    let by_quads = epilogue.stores_less_than_words();
    let finish = if by_quads { epilogue.emit_quads(inputs + 1) } else { epilogue.emit(inputs + 1) };
    let outputs = epilogue.expression.outputs.len();
    let filled = Kernel::of(file).slot(axes).slot(stored).slot(Lhs::Elements).slot(Finish(&finish.module));
    let filled = if by_quads {
        filled.slot(PoolStore::Quad).slot(Lanes::Four)
    } else {
        filled.slot(PoolStore::Element).slot(element)
    };
    let kernel = filled.kernel(file.name(), inputs + finish.inputs.len(), outputs)?;
    let count = if by_quads { out.len() / 4 } else { out.len() };
    let params = [count as u32, 0, 0].into_iter().chain(finish.params).collect();
    let workgroups = count.div_ceil(64);
    let bound = (0..inputs)
        .map(Bound::Input)
        .chain(finish.inputs.iter().map(|&input| Bound::Input(inputs + input)))
        .chain((0..outputs).map(Bound::Output))
        .collect();
    Ok(DispatchPlan { kernel, params, bound, workgroups })
}
