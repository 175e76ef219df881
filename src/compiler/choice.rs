//! Which of the plans that can do a step's work is taken: the one that is asked for, that tuning found, or the best guess.

use super::Options;
use super::program::Work;
use crate::graph::GpuRoutine;
use crate::ops::Op;
use crate::shader::{
    Adapter, Bound, DispatchPlan, KernelPlan, RoutineShapes, WorkKey, reduce_candidates, reduce_plans, row_candidates,
    row_plans,
};

/// The plans for a step's work, best guess first; none where it has no choice of its own, as maps and copies.
fn plans(work: &Work, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
    match work {
        Work::Reduce { expression, borders, reduction, epilogue } => {
            reduce_plans(expression, *borders, *reduction, epilogue, adapter)
        }
        Work::Rows(rows) => row_plans(rows, adapter),
        Work::Routine { op, operands, outputs, epilogue, in_place } => {
            let shapes = RoutineShapes { inputs: operands, outputs, epilogue: epilogue.as_ref() };
            if *in_place {
                let plans = checked(op, form(op)?.update_kernels(&shapes, adapter)?, &shapes, adapter)?;
                let binds_first = |dispatch: &DispatchPlan| dispatch.bound.contains(&Bound::Input(0));
                if plans.iter().flat_map(|plan| &plan.dispatches).any(binds_first) {
                    return Err("binds input 0 of an update in place, whose memory is output 0".into());
                }
                return Ok(plans);
            }
            checked(op, form(op)?.kernels(&shapes, adapter)?, &shapes, adapter)
        }
        Work::Map { .. } | Work::Copy => Ok(Vec::new()),
    }
}

/// A routine's form for GPUs.
fn form(op: &Op) -> Result<&dyn GpuRoutine, String> {
    op.routine().ok_or("it is no routine")?.gpu()
}

/// Plans as they are for wgrad's own operators; those of others are looked at before anything is bound by them.
fn checked(
    op: &Op,
    mut plans: Vec<KernelPlan>,
    shapes: &RoutineShapes<'_>,
    adapter: &Adapter,
) -> Result<Vec<KernelPlan>, String> {
    if let Op::Custom(_) = op {
        for plan in &mut plans {
            plan.check(shapes, adapter)?;
            plan.dispatches.iter_mut().for_each(|dispatch| dispatch.kernel.is_trusted = false);
        }
    }
    Ok(plans)
}

/// The plans that tuning tries, the best guess first and each once.
pub(crate) fn candidates(work: &Work, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
    let all = match work {
        Work::Reduce { expression, borders, reduction, epilogue } => {
            reduce_candidates(expression, *borders, *reduction, epilogue, adapter)?
        }
        Work::Rows(rows) => row_candidates(rows, adapter)?,
        Work::Routine { in_place: true, .. } => plans(work, adapter)?,
        Work::Routine { op, operands, outputs, epilogue, in_place: false } => {
            let shapes = RoutineShapes { inputs: operands, outputs, epilogue: epilogue.as_ref() };
            checked(op, form(op)?.candidates(&shapes, adapter)?, &shapes, adapter)?
        }
        Work::Map { .. } | Work::Copy => Vec::new(),
    };
    let mut distinct: Vec<KernelPlan> = Vec::with_capacity(all.len());
    for plan in all {
        if !distinct.contains(&plan) {
            distinct.push(plan);
        }
    }
    Ok(distinct)
}

impl Work {
    /// What tells this work from others, in any process: the name under which tuning stores the fastest plan. `None` where there is no
    /// choice, as for maps and copies, and for updates in place, which tuning cannot run twice on the same operands.
    pub fn key(&self) -> Option<WorkKey> {
        match self {
            Self::Reduce { expression, borders, reduction, epilogue } => {
                Some(WorkKey::of(("reduction", reduction, borders, expression, epilogue)))
            }
            Self::Rows(rows) => Some(WorkKey::of(("rows", rows))),
            Self::Routine { op, operands, outputs, epilogue, in_place: false } => {
                let rest = (operands, outputs, epilogue);
                Some(match op {
                    Op::Custom(operator) => WorkKey::of(("custom", operator.name(), operator.tuning_key(), rest)),
                    op => WorkKey::of(("routine", op.operator().name(), op.identity(), rest)),
                })
            }
            Self::Routine { in_place: true, .. } | Self::Map { .. } | Self::Copy => None,
        }
    }
}

/// The plan that is taken, and how many there were to choose from.
///
/// # Errors
/// A message for the user where no kernel fits the device or type.
pub(super) fn choose(work: &Work, adapter: &Adapter, options: Options) -> Result<(KernelPlan, usize), String> {
    let mut plans = if options.candidates { candidates(work, adapter)? } else { plans(work, adapter)? };
    let most = adapter.limits.storage_buffers;
    if plans.iter().any(|plan| plan.bindings() <= most) {
        plans.retain(|plan| plan.bindings() <= most);
    }
    let count = plans.len();
    if options.variant == 0
        && let Some(found) = tuned(work, &plans, adapter)
    {
        return Ok((found, count));
    }
    let chosen = options.variant.min(count.saturating_sub(1));
    let plan = plans.into_iter().nth(chosen).ok_or_else(|| "no kernel fits the device".to_owned())?;
    Ok((plan, count))
}

/// The plan that tuning found. Where it is not among those that can be had, as after a change of kernels, there is none.
fn tuned(work: &Work, plans: &[KernelPlan], adapter: &Adapter) -> Option<KernelPlan> {
    // Digests cost time, so they are made only where something may come of it.
    if adapter.tuned.is_empty() {
        return None;
    }
    let wanted = adapter.tuned.plan(work.key()?)?;
    if let Some(found) = plans.iter().find(|plan| plan.id() == wanted) {
        return Some(found.clone());
    }
    let fits = |plan: &KernelPlan| plan.id() == wanted && plan.bindings() <= adapter.limits.storage_buffers;
    candidates(work, adapter).ok()?.into_iter().find(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compiler::{Layout, Program, Target, compile};
    use crate::graph::Graph;
    use crate::shader::{PlanId, Tuned};
    use crate::tensor::DType::{self, F32};

    /// Products, a reduction and a convolution.
    fn graph() -> Graph {
        let g = Graph::new();
        let (x, w) = (g.input("x", [40, 300], F32), g.input("w", [300, 70], F32));
        g.output("product", &x.matmul(&w).relu());
        g.output("sums", &x.softmax(-1));
        let (image, kernel) = (g.input("image", [2, 3, 9, 9], F32), g.input("kernel", [4, 3, 3, 3], F32));
        g.output("convolved", &image.conv(&kernel, &crate::ops::ConvOptions::new()));
        g
    }

    fn adapter() -> Adapter {
        Adapter { name: "software".into(), is_software: true, subgroups: Some((8, 8)), ..Adapter::default() }
    }

    fn compiled(adapter: Adapter, options: Options) -> Program {
        compile(&graph(), &Target::Gpu(adapter), &mut Layout::default(), options).unwrap().0
    }

    /// The kernels of the steps that have a choice, with their workgroups.
    fn taken(program: &Program) -> Vec<String> {
        let chosen = program.steps.iter().filter(|step| step.work.key().is_some());
        let kernels = chosen.flat_map(|step| &step.dispatches);
        kernels.map(|dispatch| format!("{} {:?}", program.kernels[dispatch.kernel].source, dispatch.params)).collect()
    }

    #[test]
    fn what_the_table_names_is_taken() {
        let adapters = [adapter(), Adapter::default()];
        for adapter in adapters {
            let default = compiled(adapter.clone(), Options::default());
            for index in [1, usize::MAX] {
                let mut changed = 0;
                for (number, step) in default.steps.iter().enumerate() {
                    let Some(key) = step.work.key() else { continue };
                    let plans = candidates(&step.work, &adapter).unwrap();
                    let plan = &plans[index.min(plans.len() - 1)];
                    let tuned: Tuned = [(key, plan.id())].into_iter().collect();
                    let program = compiled(Adapter { tuned, ..adapter.clone() }, Options::default());
                    let params: Vec<Vec<u32>> =
                        program.steps[number].dispatches.iter().map(|dispatch| dispatch.params.clone()).collect();
                    let wanted: Vec<&Vec<u32>> = plan.dispatches.iter().map(|dispatch| &dispatch.params).collect();
                    assert_eq!(params.len(), wanted.len());
                    assert!(params.iter().zip(wanted).all(|(params, wanted)| params[1..].starts_with(wanted)));
                    changed += usize::from(taken(&program) != taken(&default));
                }
                assert!(changed >= 2, "{changed} steps for {}", adapter.name);
            }
        }
    }

    #[test]
    fn what_is_not_there_is_the_default() {
        let default = compiled(adapter(), Options::default());
        let stale = PlanId::parse("00000000000000000000000000000001").unwrap();
        let tuned: Tuned = default.steps.iter().filter_map(|step| Some((step.work.key()?, stale))).collect();
        assert!(tuned.len() >= 3);
        assert_eq!(taken(&compiled(Adapter { tuned, ..adapter() }, Options::default())), taken(&default));
    }

    #[test]
    fn a_variant_that_is_asked_for_takes_precedence_over_the_table() {
        let default = compiled(adapter(), Options::default());
        let pairs = default.steps.iter().filter_map(|step| {
            let plans = candidates(&step.work, &adapter()).unwrap();
            Some((step.work.key()?, plans.last()?.id()))
        });
        let tuned: Tuned = pairs.collect();
        let second = Options { variant: 1, ..Options::default() };
        let found = taken(&compiled(Adapter { tuned, ..adapter() }, second));
        assert_eq!(found, taken(&compiled(adapter(), second)));
    }

    #[test]
    fn candidates_begin_with_the_default_and_are_distinct() {
        for adapter in [adapter(), Adapter::default()] {
            for step in
                compiled(adapter.clone(), Options::default()).steps.iter().filter(|step| step.work.key().is_some())
            {
                let candidates = candidates(&step.work, &adapter).unwrap();
                assert_eq!(candidates.first(), plans(&step.work, &adapter).unwrap().first());
                let ids: std::collections::BTreeSet<PlanId> = candidates.iter().map(KernelPlan::id).collect();
                assert_eq!(ids.len(), candidates.len());
                assert!((2..=26).contains(&ids.len()), "{} for {}", ids.len(), step.label);
            }
        }
    }

    #[test]
    fn other_work_has_another_key() {
        let key = |build: &dyn Fn(&Graph)| {
            let g = Graph::new();
            build(&g);
            let program = compile(&g, &Target::Cpu, &mut Layout::default(), Options::default()).unwrap().0;
            program.steps.iter().find_map(|step| step.work.key()).unwrap()
        };
        let product = |shapes: [[usize; 2]; 2], dtype: DType, transposed: bool, relu: bool| {
            key(&|g: &Graph| {
                let [lhs, rhs] = [g.input("a", shapes[0], dtype), g.input("b", shapes[1], dtype)];
                let lhs = if transposed { lhs.transpose(0, 1) } else { lhs };
                let out = lhs.matmul(&rhs);
                g.output("out", &if relu { out.relu() } else { out });
            })
        };
        let square = [[8, 8], [8, 8]];
        let keys = [
            product(square, F32, false, false),
            product(square, F32, true, false),
            product(square, F32, false, true),
            product(square, DType::I32, false, false),
            product([[8, 9], [9, 8]], F32, false, false),
            key(&|g: &Graph| g.output("out", &g.input("x", [8, 8], F32).sum_all())),
            key(&|g: &Graph| g.output("out", &g.input("x", [8, 8], F32).mean_all())),
        ];
        for (index, left) in keys.iter().enumerate() {
            assert!(keys[..index].iter().all(|right| right != left), "{index}");
        }
        assert_eq!(keys[0], product(square, F32, false, false));
    }

    #[test]
    fn keys_are_written_as_ever() {
        let keys = |build: &dyn Fn(&Graph)| {
            let g = Graph::new();
            build(&g);
            let program = compile(&g, &Target::Cpu, &mut Layout::default(), Options::default()).unwrap().0;
            let keys = program.steps.iter().filter_map(|step| step.work.key());
            keys.map(|key| key.to_string()).collect::<Vec<_>>()
        };
        // Where these change, raise `KEY_VERSION` beside `WorkKey`.
        let product = keys(&|g| {
            let [lhs, rhs] = [g.input("a", [8, 9], F32), g.input("b", [9, 8], F32)];
            g.output("out", &lhs.matmul(&rhs).relu());
        });
        assert_eq!(product, ["d4f232acd41a6fa29fc17bce6b4ada2b"]);
        assert_eq!(
            keys(&|g| g.output("out", &g.input("x", [4, 8], F32).sum(-1))),
            ["d71959f4b4c3f12f46ab7374cf4d2770"]
        );
        let convolution = keys(&|g| {
            let (x, w) = (g.input("x", [2, 3, 9, 9], F32), g.input("w", [4, 3, 3, 3], F32));
            g.output("out", &x.conv(&w, &crate::ops::ConvOptions::new()));
        });
        assert_eq!(convolution, ["c999e347ef5e50fac768010f8eb0f8c1"]);
    }
}
