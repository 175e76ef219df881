//! The pools' kernels: an invocation a window, or an element in backward passes.

use super::{Pool, PoolAxis, PoolKind};
use crate::shader::slot::{Element, Finish, Nan, PoolConstants};
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
    let workgroups = out.len().div_ceil(64);
    if pool.kind == PoolKind::Max {
        let kernel = Kernel::of(KernelFile::PoolMax).slot(axes).slot(element).slot(Nan::Floats);
        let kernel = kernel.kernel("pool_max", 1, 2)?;
        let params = vec![out.len() as u32, f32::NEG_INFINITY.to_bits(), 0];
        let bound = vec![Bound::Input(0), Bound::Output(0), Bound::Output(1)];
        return Ok(DispatchPlan { kernel, params, bound, workgroups });
    }
    let file = match pool.kind {
        PoolKind::MaxScatter => KernelFile::PoolMaxScatter,
        PoolKind::MaxGather => KernelFile::PoolMaxGather,
        PoolKind::SumGradient => KernelFile::PoolSumGradient,
        PoolKind::Sum | PoolKind::Max => KernelFile::PoolSum,
    };
    let inputs = shapes.inputs.len();
    let epilogue = shapes.last_step();
    let finish = epilogue.emit(inputs + 1);
    let stored = epilogue.expression.outputs.len();
    let kernel = Kernel::of(file).slot(axes).slot(element).slot(Finish(&finish.module));
    let kernel = kernel.kernel(file.name(), inputs + finish.inputs.len(), stored)?;
    let params = [out.len() as u32, 0, 0].into_iter().chain(finish.params).collect();
    let bound = (0..inputs)
        .map(Bound::Input)
        .chain(finish.inputs.iter().map(|&input| Bound::Input(inputs + input)))
        .chain((0..stored).map(Bound::Output))
        .collect();
    Ok(DispatchPlan { kernel, params, bound, workgroups })
}
