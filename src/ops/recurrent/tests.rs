//! Recurrences against their definition, on the CPU and in every kernel.

use crate::compiler::Options;
use crate::device::Device;
use crate::graph::{CpuRoutine, GpuRoutine, Graph, Operator, Tensor};
use crate::ops::device_tests::{compare, compare_candidates};
use crate::ops::{Cell, CellDefinition, RecurrentOptions};
use crate::session::{Outputs, Session};
use crate::shader::testing::{numbers, operand, stored};
use crate::tensor::{DType, TensorData};

use super::{Pass, Recurrent, unrolled};

/// Cells that are not built in: one with parameters, one with two products, and one with all that a cell may have.
fn custom() -> [Cell; 3] {
    let peephole = CellDefinition::new("peephole_lstm", 4).parameters(["ci", "cf", "co"]).step(|s| {
        let c = s.state(1);
        let i = (s.gate(0) + s.parameter("ci") * c).sigmoid();
        let f = (s.gate(1) + s.parameter("cf") * c).sigmoid();
        let c = f * c + i * s.gate(2).tanh();
        [(s.gate(3) + s.parameter("co") * c).sigmoid() * c.tanh(), c]
    });
    let mgu = CellDefinition::new("mgu", 2).step(|s| {
        let (f, h) = (s.gate(0).sigmoid(), s.state(0));
        s.second_product(1, f * h);
        [(1.0 - f) * h + f * s.gate(1).tanh()]
    });
    // Products with gradients of their own, in both halves; a gate without a product and one without an input; an inner state that
    // depends on a later gate's input; three states; choices, and functions that are no chain.
    let everything = CellDefinition::new("everything", 5).parameters(["scale", "shift"]).step(|s| {
        let (h, a, b) = (s.state(0), s.state(1), s.state(2));
        let r = s.gate(0).sigmoid();
        let q = (s.input(1) + r * s.product(1)).softsign();
        s.second_product(2, q * h + s.input(3).tanh() * s.parameter("scale"));
        let n = (s.input(2) + q * s.product(2)).gelu();
        let m = s.product(3) * s.input(4).sigmoid() + s.parameter("shift");
        let a = (a * 0.5 + n).tanh();
        let b = b.greater(m).select(b * 0.9, m.softplus() - 0.5);
        [(h * 0.5 + a * r - b * 0.25).maximum(-2.0), a.maximum(f64::NEG_INFINITY), b.minimum(3.0)]
    });
    [peephole, mgu, everything].map(|cell| cell.unwrap())
}

fn all_cells() -> Vec<Cell> {
    Cell::all().into_iter().chain(custom()).collect()
}

/// A recurrence with everything that it may have.
#[derive(Clone, Debug)]
struct Case {
    cell: Cell,
    steps: usize,
    batch: usize,
    hidden: usize,
    reverse: bool,
    optional: bool,
    lengths: bool,
}

impl Case {
    fn values(&self, dtype: DType) -> Vec<(String, TensorData)> {
        let mut seed = self.hidden as u32;
        let mut values = |shape: &[usize], scale: f64| {
            seed += 1;
            let deviation = scale * 3.0_f64.sqrt();
            let values = numbers(shape.iter().product(), seed);
            let values: Vec<f64> =
                values.iter().map(|&value| f64::from((deviation * f64::from(value)) as f32)).collect();
            TensorData::from_f64(dtype, &values, shape).unwrap()
        };
        let (h, b, t) = (self.hidden, self.batch, self.steps);
        let width = self.cell.gates() * h;
        let states = self.cell.states();
        let mut all = vec![
            ("gates".to_owned(), values(&[t, b, width], 1.0)),
            // Over many steps, larger weights would make rounding errors grow without end.
            ("weight".to_owned(), values(&[width, h], (h as f64).sqrt().recip() * if t > 100 { 0.5 } else { 1.0 })),
            ("bias".to_owned(), values(&[width], 0.5)),
            ("initial".to_owned(), values(&[states, b, h], 0.5)),
            ("d_outputs".to_owned(), values(&[t, b, h], 1.0)),
            ("d_last".to_owned(), values(&[states, b, h], 1.0)),
        ];
        for index in 0..self.cell.parameters().len() {
            all.push((format!("parameter{index}"), values(&[h], if t > 100 { 0.35 } else { 0.7 })));
        }
        let lengths: Vec<i32> = (0..b).map(|row| (row * 7 % t) as i32 + 1).collect();
        all.push(("lengths".to_owned(), TensorData::from_vec(lengths, [b]).unwrap()));
        all
    }

    /// Outputs, last state and all gradients.
    fn run(&self, device: &Device, dtype: DType, options: Options, fused: bool) -> crate::Result<(Outputs, usize)> {
        let g = Graph::new();
        let values = self.values(dtype);
        let input = |name: &str| {
            let (_, data) = values.iter().find(|(known, _)| known == name).unwrap();
            g.input(name, data.shape(), data.dtype())
        };
        let (gates, weight) = (input("gates"), input("weight"));
        let bias = self.optional.then(|| input("bias"));
        let initial = self.optional.then(|| input("initial"));
        let parameters: Vec<Tensor> =
            (0..self.cell.parameters().len()).map(|index| input(&format!("parameter{index}"))).collect();
        let lengths = self.lengths.then(|| input("lengths"));
        let (outputs, last) = if fused {
            let options = RecurrentOptions {
                cell: self.cell.clone(),
                reverse: self.reverse,
                bias: bias.as_ref(),
                parameters: &parameters,
                initial: initial.as_ref(),
                lengths: lengths.as_ref(),
            };
            let found = gates.recurrent(&weight, &options);
            (found.outputs, found.last)
        } else {
            let pass = Pass::Forward { bias: bias.is_some(), initial: initial.is_some(), lengths: lengths.is_some() };
            let mut inputs = vec![gates.clone(), weight.transpose(0, 1)];
            let vectors: Vec<&Tensor> = bias.iter().chain(&parameters).collect();
            inputs.extend((!vectors.is_empty()).then(|| g.concat(&vectors, 0)));
            inputs.extend([&initial, &lengths].into_iter().flatten().cloned());
            let mut all =
                unrolled::forward(&Recurrent { cell: self.cell.clone(), reverse: self.reverse, pass }, &inputs);
            all.truncate(2);
            let last = all.swap_remove(1);
            (all.swap_remove(0), last)
        };
        g.output("outputs", &outputs);
        g.output("last", &last);
        let sources: Vec<&Tensor> = [Some(&gates), Some(&weight), bias.as_ref(), initial.as_ref()]
            .into_iter()
            .flatten()
            .chain(&parameters)
            .collect();
        let pairs = [(&outputs, &input("d_outputs")), (&last, &input("d_last"))];
        for (index, gradient) in g.gradients_from(&pairs, &sources).iter().enumerate() {
            g.output(&format!("gradient {index}"), gradient);
        }
        let mut session = Session::with_options(&g, device, 0, options)?;
        let known: Vec<String> = session.program().inputs.iter().map(|port| port.name.clone()).collect();
        let inputs: Vec<(&str, &TensorData)> =
            values.iter().filter(|(name, _)| known.contains(name)).map(|(name, data)| (name.as_str(), data)).collect();
        let found = session.run(&inputs)?;
        Ok((found, session.program().variants))
    }
}

#[track_caller]
fn assert_close(case: &Case, found: &Outputs, wanted: &Outputs, tolerance: f64) {
    for (name, wanted) in wanted.iter() {
        let found = found.get(name).unwrap().to_f64_vec();
        for (index, (found, wanted)) in found.into_iter().zip(wanted.to_f64_vec()).enumerate() {
            let close = (found - wanted).abs() <= tolerance * wanted.abs().max(1.0);
            assert!(close, "{case:?}: {name}[{index}] is {found}, and should be {wanted}");
        }
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for cell in all_cells() {
        for (steps, batch, hidden, reverse, optional, lengths) in [
            (1, 1, 1, false, false, false),
            (4, 3, 5, false, true, false),
            (5, 9, 4, true, true, true),
            (3, 2, 17, true, false, false),
            (6, 5, 8, false, true, true),
        ] {
            cases.push(Case { cell: cell.clone(), steps, batch, hidden, reverse, optional, lengths });
        }
    }
    cases
}

#[test]
fn the_cpu_agrees_with_the_unrolled_definition() -> crate::Result<()> {
    for case in cases() {
        let device = Device::cpu();
        let (wanted, _) = case.run(&device, DType::F64, Options::default(), false)?;
        let (found, _) = case.run(&device, DType::F64, Options::default(), true)?;
        assert_close(&case, &found, &wanted, 1e-10);
        let (found, _) = case.run(&device, DType::F32, Options::default(), true)?;
        assert_close(&case, &found, &wanted, 2e-5);
    }
    Ok(())
}

#[test]
fn gpus_agree_with_the_cpu() -> crate::Result<()> {
    let Ok(gpu) = Device::open(&crate::device::gpu::Selection::Any, crate::device::gpu::Checks::All) else {
        crate::shader::testing::skipped("no adapter");
        return Ok(());
    };
    for case in cases() {
        let (wanted, _) = case.run(&Device::cpu(), DType::F64, Options::default(), true)?;
        let (found, _) = case.run(&gpu, DType::F32, Options::default(), true)?;
        assert_close(&case, &found, &wanted, 2e-5);
    }
    Ok(())
}

/// Both passes of a case, with their operands and results.
fn passes(case: &Case) -> [(Recurrent, Vec<crate::shader::Operand>, Vec<crate::tensor::TensorType>); 2] {
    let (t, b, h) = (case.steps, case.batch, case.hidden);
    let (width, states) = (case.cell.gates() * h, case.cell.states());
    let mut forward = vec![vec![t, b, width], vec![h, width]];
    let mut backward = vec![vec![width, h], vec![t, b, case.cell.saved() * h], vec![t, b, h]];
    let parameters = case.cell.parameters().len() * h;
    let vectors = parameters + if case.optional { width } else { 0 };
    forward.extend((vectors > 0).then(|| vec![vectors]));
    if case.optional {
        forward.push(vec![states, b, h]);
        backward.push(vec![states, b, h]);
    }
    let passes = [
        (Pass::Forward { bias: case.optional, initial: case.optional, lengths: case.lengths }, forward),
        (Pass::Backward { outputs: true, last: case.optional, lengths: case.lengths }, backward),
    ];
    passes.map(|(pass, shapes)| {
        let op = Recurrent { cell: case.cell.clone(), reverse: case.reverse, pass };
        let mut operands: Vec<_> = shapes.iter().map(|shape| operand(DType::F32, shape)).collect();
        operands.extend(case.lengths.then(|| operand(DType::I32, &[b])));
        let is_backward = matches!(op.pass, Pass::Backward { .. });
        operands.extend((is_backward && parameters > 0).then(|| operand(DType::F32, &[parameters])));
        let types: Vec<_> = operands.iter().map(|operand| &operand.ty).collect();
        let outputs = op.infer(&types).unwrap();
        (op, operands, outputs)
    })
}

/// Both passes of a case, in every kernel of every adapter.
fn kernels(case: &Case, compare: Compare) {
    stored_kernels(case, DType::F32, 3e-5, compare);
}

/// The same with sequences of a type.
fn stored_kernels(case: &Case, dtype: DType, tolerance: f32, compare: Compare) {
    let lengths: Vec<i32> = (0..case.batch).map(|row| (row * 7 % case.steps) as i32 + 1).collect();
    for (op, mut operands, mut outputs) in passes(case) {
        for (index, operand) in operands.iter_mut().enumerate().filter(|(index, _)| op.reads_half(*index)) {
            operand.ty.dtype = dtype;
            assert!(GpuRoutine::reads_stored(&op, index) && CpuRoutine::reads_stored(&op, index));
        }
        let halves = op.half_outputs(&outputs);
        assert_eq!(halves.is_empty(), !case.hidden.is_multiple_of(2), "{case:?}");
        halves.iter().for_each(|&index| outputs[index].dtype = dtype);
        let weight = if matches!(op.pass, Pass::Forward { .. }) { 1 } else { 0 };
        let mut values: Vec<Vec<f32>> =
            operands.iter().zip(1..).map(|(operand, seed)| numbers(operand.ty.len(), seed)).collect();
        // Weights so small that sums stay where the gates are steep.
        values[weight].iter_mut().for_each(|value| *value /= (case.hidden as f32).sqrt());
        let bytes: Vec<Vec<u8>> = operands
            .iter()
            .zip(&values)
            .map(|(operand, values)| match operand.ty.dtype {
                DType::I32 => bytemuck::cast_slice(&lengths).to_vec(),
                dtype => stored(dtype, values),
            })
            .collect();
        let inputs: Vec<(&crate::shader::Operand, &[u8])> =
            operands.iter().zip(bytes.iter().map(Vec::as_slice)).collect();
        compare(&format!("{case:?} {:?} {dtype}", op.pass), &op, &inputs, &outputs, tolerance);
    }
}

/// One of the comparisons of `device_tests`.
type Compare = fn(&str, &dyn Operator, &[(&crate::shader::Operand, &[u8])], &[crate::tensor::TensorType], f32) -> usize;

#[test]
fn what_tuning_tries() {
    let [peephole, _, everything] = custom();
    for cell in [Cell::lstm(), Cell::gru_reset_before(), peephole, everything] {
        let case = Case { cell, steps: 3, batch: 9, hidden: 70, reverse: false, optional: true, lengths: true };
        kernels(&case, compare_candidates);
    }
}

#[test]
fn every_kernel_agrees_with_the_cpu() {
    for cell in all_cells() {
        kernels(&Case { cell, steps: 5, batch: 5, hidden: 19, reverse: true, optional: true, lengths: true }, compare);
    }
    for cell in custom() {
        kernels(
            &Case {
                cell: cell.clone(),
                steps: 4,
                batch: 3,
                hidden: 300,
                reverse: false,
                optional: false,
                lengths: false,
            },
            compare,
        );
        kernels(&Case { cell, steps: 1, batch: 1, hidden: 1, reverse: false, optional: true, lengths: false }, compare);
    }
    kernels(
        &Case { cell: Cell::lstm(), steps: 4, batch: 2, hidden: 70, reverse: false, optional: false, lengths: false },
        compare,
    );
    // Whole iterations of the product's loop, and sequences on both sides of the length from which on the weight is ordered.
    for (steps, hidden) in [(3, 32), (4, 64)] {
        let cell = Cell::lstm();
        kernels(&Case { cell, steps, batch: 6, hidden, reverse: false, optional: true, lengths: false }, compare);
    }
    kernels(
        &Case { cell: Cell::gru(), steps: 2, batch: 33, hidden: 5, reverse: false, optional: false, lengths: false },
        compare,
    );
}

/// Sequences in 16 bits: whole and partial blocks of units, and an odd number of units, whose results are f32.
#[test]
fn every_kernel_stores_halves() {
    let [_, mgu, everything] = custom();
    for (dtype, tolerance, cells) in [
        (DType::BF16, 4e-2, vec![Cell::lstm(), Cell::gru(), mgu, everything]),
        (DType::F16, 5e-3, vec![Cell::gru_reset_before()]),
    ] {
        for cell in cells {
            let (steps, batch, hidden) = (5, 5, 18);
            let case = Case { cell, steps, batch, hidden, reverse: true, optional: true, lengths: true };
            stored_kernels(&case, dtype, tolerance, compare);
        }
        for (steps, batch, hidden, optional) in [(1, 1, 2, false), (4, 3, 7, true), (4, 6, 300, true)] {
            let cell = Cell::lstm();
            let case = Case { cell, steps, batch, hidden, reverse: false, optional, lengths: false };
            stored_kernels(&case, dtype, tolerance, compare);
        }
    }
    let cell = Cell::lstm();
    let case = Case { cell, steps: 4, batch: 9, hidden: 70, reverse: false, optional: true, lengths: true };
    stored_kernels(&case, DType::BF16, 4e-2, compare_candidates);
}

/// Sequences whose loops software drivers would leave before their end, were they one dispatch.
#[test]
fn long_sequences_reach_their_end() -> crate::Result<()> {
    let Ok(gpu) = Device::open(&crate::device::gpu::Selection::Any, crate::device::gpu::Checks::Production) else {
        crate::shader::testing::skipped("no adapter");
        return Ok(());
    };
    let gpu = gpu.without_tuning();
    let cases = [
        (Cell::gru(), 64, 32, 256),
        (Cell::gru(), 36, 32, 256),
        (Cell::lstm(), 50, 64, 64),
        (Cell::lstm(), 120, 64, 64),
        (Cell::lstm(), 160, 64, 64),
        (Cell::tanh(), 400, 32, 64),
        (Cell::gru(), 200, 32, 256),
        (Cell::lstm(), 900, 32, 64),
        (Cell::lstm(), 2600, 3, 17),
        (Cell::gru(), 1500, 5, 33),
        (Cell::tanh(), 3000, 16, 24),
        (Cell::gru_reset_before(), 700, 33, 40),
        (custom()[0].clone(), 900, 9, 33),
        (custom()[1].clone(), 1200, 5, 20),
    ];
    for (cell, steps, batch, hidden) in cases {
        ends(&Case { cell, steps, batch, hidden, reverse: false, optional: false, lengths: false }, &gpu)?;
    }
    Ok(())
}

fn ends(case: &Case, gpu: &Device) -> crate::Result<()> {
    let (wanted, _) = case.run(&Device::cpu(), DType::F64, Options::default(), true)?;
    let (found, _) = case.run(gpu, DType::F32, Options::default(), true)?;
    assert_close(case, &found, &wanted, 1e-3);
    Ok(())
}

/// Software drivers get a kernel without barriers as long as it ends in time: what just fits ends, and so does what just does not.
#[test]
fn sequences_that_just_fit_reach_their_end() -> crate::Result<()> {
    let Ok(gpu) = Device::open(&crate::device::gpu::Selection::Any, crate::device::gpu::Checks::Production) else {
        crate::shader::testing::skipped("no adapter");
        return Ok(());
    };
    let gpu = gpu.without_tuning();
    let crate::compiler::Target::Gpu(adapter) = gpu.target() else { return Ok(()) };
    // Few rows where there are many units, as the reference takes its time.
    let cases = [
        (Cell::lstm(), 32, 64, false),
        (Cell::gru_reset_before(), 17, 100, true),
        (Cell::gru(), 17, 256, false),
        (Cell::lstm(), 2, 256, true),
    ];
    for (cell, batch, hidden, optional) in cases {
        let case =
            |steps| Case { cell: cell.clone(), steps, batch, hidden, reverse: optional, optional, lengths: optional };
        // Each pass's kernel and dispatches.
        let kernels = |steps: usize| {
            passes(&case(steps)).map(|(op, operands, outputs)| {
                let shapes = crate::shader::RoutineShapes { inputs: &operands, outputs: &outputs, epilogue: None };
                let dispatches = &op.kernels(&shapes, &adapter).unwrap()[0].dispatches;
                (dispatches[0].kernel.source.clone(), dispatches.len())
            })
        };
        // From each length on, another kernel is taken, or more dispatches.
        let mut limits = Vec::new();
        let (mut low, high) = (1, if hidden > 100 { 150 } else { 450 });
        while kernels(low) != kernels(high) {
            let (mut fits, mut differs) = (low, high);
            while differs - fits > 1 {
                let middle = fits.midpoint(differs);
                if kernels(middle) == kernels(low) { fits = middle } else { differs = middle }
            }
            limits.push(fits);
            low = differs;
        }
        for steps in limits {
            ends(&case(steps), &gpu)?;
            ends(&case(steps + 1), &gpu)?;
        }
    }
    Ok(())
}

/// A sequence of any length is as many dispatches, on a GPU and on the software driver that tests run on.
#[test]
fn dispatches_do_not_grow_with_the_sequence() {
    use crate::shader::{Adapter, RoutineShapes};
    let software =
        Adapter { is_software: true, subgroups: Some((8, 8)), name: "software".into(), ..Adapter::default() };
    let counts = |steps: usize, adapter: &Adapter| -> [usize; 2] {
        let width = Cell::lstm().gates() * 64;
        let shapes: [[Vec<usize>; 2]; 2] =
            [[vec![steps, 64, width], vec![64, width]], [vec![width, 64], vec![steps, 64, Cell::lstm().saved() * 64]]];
        let passes = [
            Pass::Forward { bias: false, initial: false, lengths: false },
            Pass::Backward { outputs: false, last: false, lengths: false },
        ];
        std::array::from_fn(|k| {
            let op = Recurrent { cell: Cell::lstm(), reverse: false, pass: passes[k] };
            let inputs: Vec<_> = shapes[k].iter().map(|shape| operand(DType::F32, shape)).collect();
            let types: Vec<_> = inputs.iter().map(|operand| &operand.ty).collect();
            let outputs = op.infer(&types).unwrap();
            let plans = op.kernels(&RoutineShapes { inputs: &inputs, outputs: &outputs, epilogue: None }, adapter);
            plans.unwrap()[0].dispatches.len()
        })
    };
    // On hardware, one more puts the weight into another order, but for the shortest.
    for (adapter, more) in [(Adapter::default(), 1), (software, 0)] {
        assert_eq!(counts(50, &adapter), [1 + more; 2], "{}", adapter.name);
        assert_eq!(counts(100, &adapter), [1 + more; 2], "{}", adapter.name);
    }
    assert_eq!(counts(3, &Adapter::default()), [1, 1]);
}

/// The gradient of a gradient comes from the unrolled one.
#[test]
fn gradients_are_differentiated_again() -> crate::Result<()> {
    let [_, mgu, _] = custom();
    for cell in Cell::all().into_iter().chain([mgu]) {
        let g = Graph::new();
        let (x, w) =
            (g.input("x", [3, 2, cell.gates() * 2], DType::F64), g.input("w", [cell.gates() * 2, 2], DType::F64));
        let found = x.recurrent(&w, &RecurrentOptions::new(cell.clone()));
        let loss = found.outputs.square().sum_all() + found.last.sum_all();
        let first = g.gradients(&loss, &[&w]).swap_remove(0);
        let second = g.gradients(&first.square().sum_all(), &[&w]).swap_remove(0);
        g.output("first", &first);
        g.output("second", &second);
        let mut session = g.compile(&Device::cpu())?;
        let mut random = crate::scalar::threefry::HostRandom::new(3);
        let mut draw = |count: usize| -> Vec<f64> { (0..count).map(|_| random.normal()).collect() };
        let x = TensorData::from_f64(DType::F64, &draw(12 * cell.gates()), [3, 2, cell.gates() * 2])?;
        let w = draw(4 * cell.gates());
        let mut at = |w: &[f64]| -> crate::Result<Outputs> {
            session.run(&[("x", &x), ("w", &TensorData::from_f64(DType::F64, w, [cell.gates() * 2, 2])?)])
        };
        let found = at(&w)?["second"].to_f64_vec();
        for index in 0..w.len() {
            let mut sum = |step: f64| -> crate::Result<f64> {
                let mut moved = w.clone();
                moved[index] += step;
                Ok(at(&moved)?["first"].to_f64_vec().iter().map(|value| value * value).sum())
            };
            let difference = (sum(1e-5)? - sum(-1e-5)?) / 2e-5;
            assert!(
                (found[index] - difference).abs() < 1e-5 * difference.abs().max(1.0),
                "{cell:?}: {} and {difference}",
                found[index]
            );
        }
    }
    Ok(())
}
