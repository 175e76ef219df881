//! For tests only: an operator's kernels, for every adapter that choices are tested for, against its CPU implementation.

use crate::graph::{GpuRoutine, Operator};
use crate::shader::testing::{Runner, adapters, assert_close, check, widened};
use crate::shader::{Adapter, KernelPlan, Operand, RoutineShapes};
use crate::tensor::{DType, TensorType};

/// An operator's form for GPUs.
fn gpu(op: &dyn Operator) -> &dyn GpuRoutine {
    op.kind().routine().unwrap().gpu().unwrap()
}

/// How an operator returns its plans.
type Plans<'a> = &'a dyn Fn(&RoutineShapes<'_>, &Adapter) -> Result<Vec<KernelPlan>, String>;

/// Runs every plan; results that are floats may differ by the tolerance (relative above 1), others not at all. Returns the number of
/// plans that were run.
#[track_caller]
pub(crate) fn compare(
    label: &str,
    op: &dyn Operator,
    inputs: &[(&Operand, &[u8])],
    outputs: &[TensorType],
    tolerance: f32,
) -> usize {
    compare_plans(label, op, &|shapes, adapter| gpu(op).kernels(shapes, adapter), inputs, outputs, tolerance)
}

/// Runs every plan that only tuning tries, and checks that the best guess is the same.
#[track_caller]
pub(crate) fn compare_candidates(
    label: &str,
    op: &dyn Operator,
    inputs: &[(&Operand, &[u8])],
    outputs: &[TensorType],
    tolerance: f32,
) -> usize {
    let others = |shapes: &RoutineShapes<'_>, adapter: &Adapter| {
        let (known, mut candidates) = (gpu(op).kernels(shapes, adapter)?, gpu(op).candidates(shapes, adapter)?);
        assert_eq!(candidates.first(), known.first(), "{label}: the best guess for {}", adapter.name);
        candidates.retain(|plan| !known.contains(plan));
        Ok(candidates)
    };
    compare_plans(label, op, &others, inputs, outputs, tolerance)
}

/// Runs every plan that updates the first input in place, and the CPU's update, against the CPU's new tensor. Returns the number of plans.
#[track_caller]
pub(crate) fn compare_updates(label: &str, op: &dyn Operator, inputs: &[(&Operand, &[u8])]) -> usize {
    let routine = op.kind().routine().unwrap();
    let ty = inputs[0].0.ty.clone();
    let mut want = vec![0_u32; ty.bytes().div_ceil(4)];
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut want);
    routine.cpu().unwrap().evaluate(inputs, &mut [(&ty, bytes)]).unwrap();
    let mut updated: Vec<u32> = bytemuck::pod_collect_to_vec(inputs[0].1);
    routine.cpu().unwrap().update((&ty, bytemuck::cast_slice_mut(&mut updated)), &inputs[1..]).unwrap();
    assert_eq!(updated, want, "{label} on the CPU");
    let operands: Vec<Operand> = inputs.iter().map(|(operand, _)| (*operand).clone()).collect();
    let data: Vec<&[u8]> = inputs.iter().map(|(_, bytes)| *bytes).collect();
    let shapes = RoutineShapes { inputs: &operands, outputs: std::slice::from_ref(&ty), epilogue: None };
    let mut seen = Vec::new();
    for adapter in adapters() {
        for plan in gpu(op).update_kernels(&shapes, &adapter).unwrap() {
            check(&plan, &adapter);
            let Some(mut runner) = Runner::lock() else { continue };
            if seen.contains(&plan) || !runner.can_run(&plan, &adapter) {
                continue;
            }
            let (got, _) = runner.run_from(&plan, &data, &[data[0]], 1);
            let got: Vec<u32> = bytemuck::pod_collect_to_vec(&got[0]);
            let different = got.iter().zip(&want).position(|(got, want)| got != want);
            assert_eq!(different, None, "{label}, {plan:?}: the first different element");
            seen.push(plan);
        }
    }
    seen.len()
}

#[track_caller]
fn compare_plans(
    label: &str,
    op: &dyn Operator,
    plans: Plans<'_>,
    inputs: &[(&Operand, &[u8])],
    outputs: &[TensorType],
    tolerance: f32,
) -> usize {
    let mut want: Vec<Vec<u32>> = outputs.iter().map(|ty| vec![0; ty.len()]).collect();
    let mut results: Vec<(&TensorType, &mut [u8])> =
        outputs.iter().zip(&mut want).map(|(ty, words)| (ty, bytemuck::cast_slice_mut(words))).collect();
    op.kind().routine().unwrap().cpu().unwrap().evaluate(inputs, &mut results).unwrap();
    let operands: Vec<Operand> = inputs.iter().map(|(operand, _)| (*operand).clone()).collect();
    let data: Vec<&[u8]> = inputs.iter().map(|(_, bytes)| *bytes).collect();
    let sizes: Vec<usize> = outputs.iter().map(TensorType::bytes).collect();
    let shapes = RoutineShapes { inputs: &operands, outputs, epilogue: None };
    let mut seen = Vec::new();
    for adapter in adapters() {
        for plan in plans(&shapes, &adapter).unwrap() {
            check(&plan, &adapter);
            let Some(mut runner) = Runner::lock() else { continue };
            if seen.contains(&plan) || !runner.can_run(&plan, &adapter) {
                continue;
            }
            let kernels: Vec<&str> = plan.dispatches.iter().map(|dispatch| dispatch.kernel.label.as_str()).collect();
            let name = format!("{label}: {}", kernels.join(", "));
            let got = runner.run(&plan, &data, &sizes);
            for ((got, want), ty) in got.iter().zip(&want).zip(outputs) {
                if matches!(ty.dtype, DType::F16 | DType::BF16) {
                    let [got, want] =
                        [got, bytemuck::cast_slice(want)].map(|bytes| widened(ty.dtype, &bytes[..ty.bytes()]));
                    assert_close(&name, &got, &want, tolerance);
                    continue;
                }
                let got: Vec<u32> = bytemuck::pod_collect_to_vec(got);
                if ty.dtype == DType::F32 && tolerance > 0.0 {
                    assert_close(&name, bytemuck::cast_slice(&got), bytemuck::cast_slice(want), tolerance);
                } else {
                    let different = got.iter().zip(want).position(|(got, want)| got != want);
                    assert_eq!(different, None, "{name}: the first different element");
                }
            }
            seen.push(plan);
        }
    }
    seen.len()
}
