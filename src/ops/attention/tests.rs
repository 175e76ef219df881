//! Attention in blocks against its definition, forward and backward, and what is known of masks.

use super::dropout::Dropout;
use super::known::{ANY, Known, Range, expressed, known};
use super::score::Leaf;
use super::{Attention, AttentionOptions, AttentionPass, Score, ScoreDefinition, Sizes, definition};
use crate::compiler::{Layout, Options, Target, compile};
use crate::device::Device;
use crate::device::gpu::{Checks, Selection};
use crate::graph::{CpuRoutine, GpuRoutine, Graph, Operator, Tensor};
use crate::scalar::{Source, Tape, map};
use crate::session::Outputs;
use crate::shader::testing::{self, Runner, adapters, check, numbers, operand, skipped, stored, widened};
use crate::shader::{Operand, RoutineShapes};
use crate::tensor::{DType, TensorData, TensorType};

/// An attention with all that it may have.
#[derive(Clone, Debug)]
struct Case {
    /// Batch, heads, key heads.
    heads: [usize; 3],
    /// Queries and keys.
    lengths: [usize; 2],
    /// Of keys, and of values.
    sizes: [usize; 2],
    score: Score,
    /// The score's buffers, by their extents; integers and floats as it declares them.
    buffers: Vec<[usize; 4]>,
    /// Whether sequences end before the last key: after 0, 1, 2, … keys.
    short: bool,
    scale: Option<f64>,
    dropout: f64,
}

impl Case {
    fn new(heads: [usize; 3], lengths: [usize; 2], sizes: [usize; 2], score: Score) -> Self {
        Self { heads, lengths, sizes, score, buffers: Vec::new(), short: false, scale: None, dropout: 0.0 }
    }

    fn values(&self, dtype: DType) -> Vec<(String, TensorData)> {
        let ([b, h, g], [tq, tk], [d, dv]) = (self.heads, self.lengths, self.sizes);
        let floats = |shape: [usize; 4], seed: u32| {
            let values: Vec<f64> = numbers(shape.iter().product(), seed).into_iter().map(f64::from).collect();
            TensorData::from_f64(dtype, &values, shape).unwrap()
        };
        let mut all = vec![
            ("q".to_owned(), floats([b, h, tq, d], 1)),
            ("k".to_owned(), floats([b, g, tk, d], 2)),
            ("v".to_owned(), floats([b, g, tk, dv], 3)),
            ("upstream".to_owned(), floats([b, h, tq, dv], 4)),
        ];
        for (index, (&shape, buffer)) in self.buffers.iter().zip(self.score.declared()).enumerate() {
            let data = if buffer.is_integer {
                // Documents of 11 elements.
                let along = shape.iter().copied().max().unwrap_or(1);
                let values: Vec<i32> = (0..shape.iter().product()).map(|k: usize| (k % along / 11) as i32).collect();
                TensorData::from_vec(values, shape).unwrap()
            } else {
                floats(shape, 10 + index as u32)
            };
            all.push((format!("buffer{index}"), data));
        }
        if self.short {
            let lengths: Vec<i32> = (0..b).map(|row| (row * 5 % (tk + 1)) as i32).collect();
            all.push(("lengths".to_owned(), TensorData::from_vec(lengths, [b]).unwrap()));
        }
        all
    }

    /// The result and the gradients of queries, keys, values and float buffers. `how`: the operator, its definition, or the operator whose
    /// gradient is the definition of the backward pass.
    fn run(&self, device: &Device, dtype: DType, how: How) -> crate::Result<Outputs> {
        let g = Graph::new();
        let values = self.values(dtype);
        let input = |name: &str| {
            let (_, data) = values.iter().find(|(known, _)| known == name).unwrap();
            g.input(name, data.shape(), data.dtype())
        };
        let [q, k, v, upstream] = ["q", "k", "v", "upstream"].map(input);
        let buffers: Vec<Tensor> = (0..self.buffers.len()).map(|index| input(&format!("buffer{index}"))).collect();
        let lengths = self.short.then(|| input("lengths"));
        let scale = self.scale.unwrap_or((self.sizes[0] as f64).sqrt().recip());
        let mut score = self.score.clone();
        let mut inputs = vec![q.clone(), k.clone(), v.clone()];
        inputs.extend(buffers.iter().cloned());
        if let Some(lengths) = &lengths {
            score = score.and(&Score::lengths());
            inputs.push(lengths.reshape([self.heads[0], 1, 1, 1]));
        }
        let mut attention = Attention {
            score,
            scale: scale.to_bits(),
            dropout: None,
            pass: AttentionPass::Forward,
            positions_first: false,
        };
        if self.dropout > 0.0 && !matches!(how, How::Operator) {
            let (state, stream) = g.random_stream();
            inputs.push(state);
            attention.dropout = Some(Dropout::new(self.dropout, stream));
        }
        let floats = buffers.iter().filter(|buffer| buffer.dtype().is_float());
        let sources: Vec<&Tensor> = [&q, &k, &v].into_iter().chain(floats).collect();
        let (result, gradients) = match how {
            How::Operator => {
                let buffers: Vec<&Tensor> = buffers.iter().collect();
                let options = AttentionOptions {
                    scale: self.scale,
                    score: self.score.clone(),
                    buffers: &buffers,
                    bias: None,
                    lengths: lengths.as_ref(),
                    dropout: self.dropout,
                };
                let result = q.scaled_dot_product_attention(&k, &v, &options);
                let gradients = g.gradients_from(&[(&result, &upstream)], &sources);
                (result, gradients)
            }
            How::Definition => {
                let result = definition::forward(&attention, &inputs).unwrap().swap_remove(0);
                let gradients = g.gradients_from(&[(&result, &upstream)], &sources);
                (result, gradients)
            }
            How::Backward => {
                let mut found = definition::forward(&attention, &inputs).unwrap();
                let (sums, result) = (found.swap_remove(1), found.swap_remove(0));
                let backward = Attention { pass: AttentionPass::Backward, ..attention };
                inputs.splice(3..3, [result.clone(), sums, upstream]);
                let gradients = definition::backward(&backward, &inputs).unwrap();
                (result, gradients)
            }
        };
        g.output("result", &result);
        for (name, gradient) in ["q", "k", "v", "buffer0", "buffer1"].iter().zip(&gradients) {
            g.output(&format!("gradient of {name}"), gradient);
        }
        let mut session = g.compile(device)?;
        let known: Vec<String> = session.program().inputs.iter().map(|port| port.name.clone()).collect();
        let inputs: Vec<(&str, &TensorData)> =
            values.iter().filter(|(name, _)| known.contains(name)).map(|(name, data)| (name.as_str(), data)).collect();
        session.run(&inputs)
    }
}

#[derive(Clone, Copy, Debug)]
enum How {
    Operator,
    Definition,
    Backward,
}

#[track_caller]
fn assert_close(what: &str, found: &Outputs, wanted: &Outputs, tolerance: f64) {
    for (name, found) in found.iter() {
        let wanted = wanted.get(name).unwrap().to_f64_vec();
        for (index, (found, wanted)) in found.to_f64_vec().into_iter().zip(wanted).enumerate() {
            let close = (found - wanted).abs() <= tolerance * wanted.abs().max(1.0);
            assert!(close, "{what}: {name}[{index}] is {found}, and should be {wanted}");
        }
    }
}

/// Every built-in score and some of our own; odd lengths and sizes, one of each, more blocks than one; heads that share keys.
fn cases() -> Vec<Case> {
    let own = ScoreDefinition::new("own").floats(["scale"]).score(|s| {
        let odd = s.head().equal(1).or(s.batch().equal(1));
        odd.select(s.score() * s.buffer("scale"), (s.score() * 0.5).tanh() - s.buffer("scale").square())
    });
    let mut cases = vec![
        Case::new([1, 1, 1], [1, 1], [1, 1], Score::plain()),
        Case::new([2, 4, 2], [3, 5], [5, 3], Score::plain()),
        Case::new([1, 2, 1], [130, 300], [8, 16], Score::plain()),
        Case::new([2, 2, 2], [65, 65], [16, 16], Score::causal()),
        Case::new([1, 3, 1], [300, 300], [7, 9], Score::causal()),
        Case::new([1, 1, 1], [5, 140], [4, 4], Score::causal_from(135)),
        Case::new([1, 2, 2], [200, 200], [4, 8], Score::window(9, 3)),
        Case::new([1, 2, 2], [70, 90], [4, 8], Score::prefix(40)),
        Case::new([1, 2, 2], [40, 150], [4, 8], Score::soft_cap(0.5)),
        Case { short: true, ..Case::new([3, 2, 2], [33, 17], [8, 8], Score::plain()) },
        Case { short: true, scale: Some(1.5), ..Case::new([4, 2, 1], [12, 140], [8, 8], Score::causal()) },
    ];
    cases.push(Case { dropout: 0.3, ..Case::new([2, 4, 2], [40, 150], [8, 4], Score::causal_from(110)) });
    cases.push(Case { dropout: 1.0, ..Case::new([1, 1, 1], [2, 3], [2, 2], Score::plain()) });
    let documents = Case::new([2, 2, 1], [150, 150], [8, 4], Score::documents().and(&Score::causal()));
    cases.push(Case { buffers: vec![[2, 1, 150, 1], [2, 1, 1, 150]], ..documents });
    let alibi = Case::new([2, 3, 3], [35, 140], [8, 4], Score::alibi().and(&Score::window(50, 70)));
    cases.push(Case { buffers: vec![[1, 3, 1, 1]], ..alibi });
    let bias = Case::new([2, 2, 1], [9, 150], [8, 4], Score::bias().and(&Score::soft_cap(2.0)));
    cases.push(Case { buffers: vec![[1, 2, 9, 150]], short: true, ..bias });
    let own = Case::new([2, 2, 2], [9, 30], [8, 4], own.unwrap().and(&Score::causal()));
    cases.push(Case { buffers: vec![[2, 1, 9, 1]], ..own });
    cases
}

#[test]
fn blocks_agree_with_the_definition() -> crate::Result<()> {
    for case in cases() {
        let wanted = case.run(&Device::cpu(), DType::F64, How::Definition)?;
        let what = format!("{case:?}");
        assert_close(&what, &case.run(&Device::cpu(), DType::F64, How::Operator)?, &wanted, 1e-11);
        assert_close(&what, &case.run(&Device::cpu(), DType::F32, How::Operator)?, &wanted, 1e-4);
        assert_close(&what, &case.run(&Device::cpu(), DType::F64, How::Backward)?, &wanted, 1e-11);
    }
    Ok(())
}

/// As kernels run; and some of them with every access checked.
#[test]
fn gpus_compute_the_definition() -> crate::Result<()> {
    for (checks, every) in [(Checks::Production, 1), (Checks::All, 4)] {
        let Ok(gpu) = Device::open(&Selection::Any, checks) else {
            skipped("no adapter");
            return Ok(());
        };
        for case in cases().into_iter().step_by(every) {
            let wanted = case.run(&Device::cpu(), DType::F64, How::Operator)?;
            assert_close(&format!("{case:?}"), &case.run(&gpu, DType::F32, How::Operator)?, &wanted, 5e-5);
        }
    }
    Ok(())
}

/// About a thousand queries and keys, heads of odd sizes: many blocks, of which some are hidden and some incomplete.
#[test]
fn long_sequences_have_the_definition() -> crate::Result<()> {
    let bias = Case::new([1, 1, 1], [1000, 61], [17, 5], Score::bias());
    let cases = [
        Case::new([1, 3, 1], [1000, 1000], [33, 65], Score::causal()),
        Case::new([2, 1, 1], [1000, 777], [81, 79], Score::soft_cap(3.0)),
        Case { short: true, ..Case::new([3, 1, 1], [777, 1000], [7, 9], Score::window(200, 33)) },
        Case { buffers: vec![[1, 1, 1000, 61]], ..bias },
    ];
    let gpu = Device::open(&Selection::Any, Checks::Production).ok();
    if gpu.is_none() {
        skipped("no adapter");
    }
    for case in cases {
        let wanted = case.run(&Device::cpu(), DType::F64, How::Definition)?;
        for device in [Some(&Device::cpu()), gpu.as_ref()].into_iter().flatten() {
            assert_close(
                &format!("{device:?}, {case:?}"),
                &case.run(device, DType::F32, How::Operator)?,
                &wanted,
                1e-4,
            );
        }
    }
    Ok(())
}

/// Every plan of every adapter is valid, whatever the score, the sizes and the pass.
#[test]
fn plans_are_valid_for_all_adapters() {
    let sizes = [[1, 1], [8, 8], [7, 9], [64, 64], [80, 33], [256, 130]];
    let scored = [
        (Score::plain(), Vec::new()),
        (Score::causal().and(&Score::soft_cap(2.0)), Vec::new()),
        (Score::documents(), vec![[2, 1, 70, 1], [2, 1, 1, 90]]),
        (Score::bias(), vec![[1, 1, 70, 90]]),
    ];
    for (number, ([d, dv], (score, buffers))) in
        sizes.iter().flat_map(|s| scored.iter().map(move |b| (*s, b))).enumerate()
    {
        for pass in [AttentionPass::Forward, AttentionPass::Backward] {
            let dropout = (number % 2 == 1).then(|| Dropout::new(0.1, 3));
            let positions_first = number % 3 == 1;
            let attention =
                Attention { score: score.clone(), scale: 1.0_f64.to_bits(), dropout, pass, positions_first };
            let mut operands: Vec<Operand> =
                [[2, 4, 70, d], [2, 2, 90, d], [2, 2, 90, dv]].iter().map(|shape| operand(DType::F32, shape)).collect();
            if pass == AttentionPass::Backward {
                let [result, sums] = [operand(DType::F32, &[2, 4, 70, dv]), operand(DType::F32, &[2, 4, 70])];
                operands.extend([result.clone(), sums, result]);
            }
            let dtype = |index: usize| if score.declared()[index].is_integer { DType::I32 } else { DType::F32 };
            operands.extend(buffers.iter().enumerate().map(|(index, shape)| operand(dtype(index), shape)));
            if dropout.is_some() {
                operands.push(operand(DType::U32, &[2]));
            }
            let types: Vec<&TensorType> = operands.iter().map(|operand| &operand.ty).collect();
            let outputs = attention.infer(&types).unwrap();
            let shapes = RoutineShapes { inputs: &operands, outputs: &outputs, epilogue: None };
            for adapter in adapters() {
                if attention.obstacle(&types, &adapter).is_some() {
                    // Only where there are buffers, and few may be bound.
                    assert!(adapter.limits.storage_buffers == 8 && types.len() > attention.fixed());
                    continue;
                }
                for plan in attention.candidates(&shapes, &adapter).unwrap() {
                    check(&plan, &adapter);
                    assert!(plan.dispatches.len() <= attention.output_count(), "{}", plan.describe());
                }
            }
        }
    }
}

/// No matrix of scores is in memory, forward or backward, on either device: what is planned grows with the length.
#[test]
fn memory_grows_with_the_length() -> crate::Result<()> {
    let planned = |length: usize, target: &Target| -> crate::Result<usize> {
        let g = Graph::new();
        let [q, k, v] = ["q", "k", "v"].map(|name| g.input(name, [1, 4, length, 64], DType::F32));
        let options = AttentionOptions { score: Score::causal(), ..AttentionOptions::default() };
        let y = q.scaled_dot_product_attention(&k, &v, &options);
        let loss = y.square().sum(..);
        let gradients = g.gradients(&loss, &[&q, &k, &v]);
        g.output("loss", &loss);
        gradients
            .iter()
            .zip(["q", "k", "v"])
            .for_each(|(gradient, name)| g.output(&format!("gradient of {name}"), gradient));
        Ok(compile(&g, target, &mut Layout::default(), Options::default())?.0.planned_bytes())
    };
    for target in [Target::Cpu, Target::Gpu(crate::shader::Adapter::default())] {
        let [short, long] = [planned(1024, &target)?, planned(8192, &target)?];
        assert!(long <= 8 * short + 4096, "{short} bytes for 1,024 positions, {long} for 8,192");
    }
    Ok(())
}

/// Sequences of no keys, and of no queries; and long ones, of which most blocks are hidden.
#[test]
fn what_sees_nothing_is_zero_and_has_no_gradient() -> crate::Result<()> {
    let mut none = Case::new([3, 1, 1], [2, 7], [4, 4], Score::plain());
    none.short = true; // of 0, 5 and 2 keys
    let found = none.run(&Device::cpu(), DType::F32, How::Operator)?;
    for (name, rows) in [("result", 8), ("gradient of q", 8), ("gradient of k", 28), ("gradient of v", 28)] {
        let values = found.get(name).unwrap().to_f64_vec();
        assert!(values[..rows].iter().all(|&value| value == 0.0), "{name}: {values:?}");
        assert!(values[rows..].iter().any(|&value| value != 0.0), "{name}: {values:?}");
    }
    for lengths in [[0, 3], [3, 0]] {
        let case = Case::new([2, 2, 1], lengths, [4, 4], Score::plain());
        let found = case.run(&Device::cpu(), DType::F32, How::Operator)?;
        assert_eq!(found.get("result").unwrap().to_f64_vec(), vec![0.0; 2 * 2 * lengths[0] * 4]);
    }
    Ok(())
}

/// What the expression that kernels evaluate says of a block.
fn evaluated(score: &Score, ranges: &dyn Fn(Leaf) -> Range) -> Known {
    let sizes = Sizes { batch: 4, heads: 8, key_heads: 8, queries: 4096, keys: 4096, head_size: 8, value_size: 8 };
    let expression = expressed(score, &sizes, &|_| true);
    let words: Vec<i32> = (0..expression.inputs.len())
        .map(|input| {
            let [least, most] = ranges(Leaf::of(input / 2));
            // What has no range is beyond what is reckoned with.
            if input % 2 == 0 { least.max(f64::from(i32::MIN)) as i32 } else { most.min(f64::from(i32::MAX)) as i32 }
        })
        .collect();
    let sources: Vec<Source<'_>> = words.iter().map(|word| Source::Bytes(bytemuck::bytes_of(word))).collect();
    let mut code = [0_u32];
    map(&Tape::new(&expression), &sources, &mut [bytemuck::cast_slice_mut(&mut code)]);
    [Known::Nothing, Known::Unchanged, Known::Hidden][code[0] as usize]
}

/// Documents and lengths, whose buffers are read for their range.
#[test]
fn blocks_are_known_by_their_buffers() {
    let both = |score: &Score, ranges: &dyn Fn(Leaf) -> Range| {
        let found = known(score, ranges);
        assert_eq!(found, evaluated(score, ranges), "{score:?}");
        found
    };
    let block = |leaf: Leaf| match leaf {
        Leaf::Query => [64.0, 95.0],
        Leaf::Key => [32.0, 63.0],
        _ => [0.0; 2],
    };
    let documents = |queries: Range, keys: Range| {
        both(&Score::documents(), &|leaf| match leaf {
            Leaf::Buffer(0) => queries,
            Leaf::Buffer(_) => keys,
            other => block(other),
        })
    };
    assert_eq!(documents([2.0, 4.0], [0.0, 1.0]), Known::Hidden);
    assert_eq!(documents([2.0, 4.0], [1.0, 2.0]), Known::Nothing);
    assert_eq!(documents([2.0, 2.0], [2.0, 2.0]), Known::Unchanged);
    let lengths = |length: f64| {
        both(&Score::lengths(), &|leaf| if matches!(leaf, Leaf::Buffer(_)) { [length; 2] } else { block(leaf) })
    };
    assert_eq!(lengths(32.0), Known::Hidden);
    assert_eq!(lengths(33.0), Known::Nothing);
    assert_eq!(lengths(64.0), Known::Unchanged);
    // Where an integer is so large that sums may wrap, nothing is said.
    let shifted = ScoreDefinition::new("shifted")
        .integers(["start"])
        .mask(|s| s.key().less(s.buffer("start") + s.query()))
        .unwrap();
    let at = |start: f64| {
        evaluated(&shifted, &|leaf| if matches!(leaf, Leaf::Buffer(_)) { [start; 2] } else { block(leaf) })
    };
    assert_eq!(at(-1e6), Known::Hidden);
    assert_eq!(at(1e6), Known::Unchanged);
    assert_eq!(at(f64::from(i32::MAX)), Known::Nothing);
}

/// What is known of a block is what all of its pairs are.
#[test]
fn blocks_are_known_as_their_pairs_are() {
    let negated = ScoreDefinition::new("negated")
        .mask(|s| s.key().greater(s.query() * 2).not().and((s.query() - s.key()).abs().less(40)))
        .unwrap();
    let known = |score: &Score, queries: [i64; 2], keys: [i64; 2]| {
        let span = |indices: [i64; 2]| indices.map(|index| index as f64);
        let ranges = |leaf: Leaf| match leaf {
            Leaf::Query => span(queries),
            Leaf::Key => span(keys),
            _ => ANY,
        };
        let found = known(score, &ranges);
        assert_eq!(found, evaluated(score, &ranges), "{score:?}");
        found
    };
    let scores = [
        (Score::causal(), (|q, k| k <= q) as fn(i64, i64) -> bool),
        (Score::causal_from(20), |q, k| k <= q + 20),
        (Score::window(9, 3), |q, k| k - q >= -9 && k - q <= 3),
        (Score::prefix(50), |q, k| k < 50 || k <= q),
        (Score::causal().and(&Score::window(30, 30)), |q, k| k <= q && q - k <= 30),
        (negated, |q, k| k <= 2 * q && (q - k).abs() < 40),
    ];
    for (score, is_seen) in scores {
        let mut counts = [0; 3];
        for first in (0..200).step_by(8) {
            for first_key in (0..200).step_by(8) {
                let pairs = (first..first + 8).flat_map(|q| (first_key..first_key + 8).map(move |k| (q, k)));
                let seen = pairs.filter(|&(q, k)| is_seen(q, k)).count();
                let known = known(&score, [first, first + 7], [first_key, first_key + 7]);
                match known {
                    Known::Hidden => assert_eq!(seen, 0, "{score:?} at {first}, {first_key}"),
                    Known::Unchanged => assert_eq!(seen, 64, "{score:?} at {first}, {first_key}"),
                    Known::Nothing => {}
                }
                counts[known as usize] += 1;
                // Of conditions on one distance or index nothing is left unknown, but for products of such.
                let is_simple = !score.name().contains("negated");
                assert!(!is_simple || seen > 0 || known == Known::Hidden, "{score:?} at {first}, {first_key}");
            }
        }
        assert!(counts[0] > 0 && counts[2] > 0, "{score:?}: {counts:?}");
    }
    assert_eq!(known(&Score::plain(), [0, 9], [0, 9]), Known::Unchanged);
    assert_eq!(known(&Score::soft_cap(3.0), [0, 9], [0, 9]), Known::Nothing);
    // Beyond what i32 holds, nothing is known.
    let far = ScoreDefinition::new("far").mask(|s| (s.query() + i32::MAX).greater(0)).unwrap();
    assert_eq!(known(&far, [0, 9], [0, 9]), Known::Nothing);
}

#[test]
fn a_nan_reaches_what_sees_it() -> crate::Result<()> {
    let case = Case::new([1, 1, 1], [4, 4], [2, 2], Score::causal());
    for dtype in [DType::F32, DType::F64] {
        let g = Graph::new();
        let [q, k, v] = ["q", "k", "v"].map(|name| g.input(name, [1, 1, 4, 2], dtype));
        let options = AttentionOptions { score: case.score.clone(), ..AttentionOptions::default() };
        g.output("y", &q.scaled_dot_product_attention(&k, &v, &options));
        let mut session = g.compile(&Device::cpu())?;
        let values = case.values(dtype);
        let mut keys = values[1].1.to_f64_vec();
        keys[2 * 2] = f64::NAN; // of the third key, which queries 2 and 3 see
        let keys = TensorData::from_f64(dtype, &keys, [1, 1, 4, 2])?;
        let y = session.run(&[("q", &values[0].1), ("k", &keys), ("v", &values[2].1)])?.get("y").unwrap().to_f64_vec();
        let is_nan: Vec<bool> = y.iter().map(|value| value.is_nan()).collect();
        assert_eq!(is_nan, [false, false, false, false, true, true, true, true]);
    }
    Ok(())
}

#[test]
fn mistakes_are_explained() {
    let mistake = |shapes: [&[usize]; 3], options: &dyn Fn(&Graph) -> (Score, Vec<Tensor>)| {
        let g = Graph::new();
        let [q, k, v] = [0, 1, 2].map(|index| g.input(["q", "k", "v"][index], shapes[index].to_vec(), DType::F32));
        let (score, buffers) = options(&g);
        let buffers: Vec<&Tensor> = buffers.iter().collect();
        let options = AttentionOptions { score, buffers: &buffers, ..AttentionOptions::default() };
        let _ = q.scaled_dot_product_attention(&k, &v, &options);
        g.error().unwrap().to_string()
    };
    let plain = |_: &Graph| (Score::plain(), Vec::new());
    let found = [
        mistake([&[2, 3, 4], &[2, 3, 4], &[2, 3, 4]], &plain),
        mistake([&[1, 3, 4, 8], &[1, 2, 4, 8], &[1, 2, 4, 8]], &plain),
        mistake([&[1, 3, 4, 0], &[1, 3, 4, 0], &[1, 3, 4, 8]], &plain),
        mistake([&[1, 3, 4, 8], &[1, 3, 4, 7], &[1, 3, 4, 8]], &plain),
        mistake([&[1, 3, 4, 8], &[1, 3, 4, 8], &[1, 3, 5, 8]], &plain),
        mistake([&[1, 3, 4, 8], &[2, 3, 4, 8], &[1, 3, 4, 8]], &plain),
        mistake([&[1, 3, 4, 8]; 3], &|_| (Score::alibi(), Vec::new())),
        mistake([&[1, 3, 4, 8]; 3], &|g| (Score::alibi(), vec![g.input("s", [5, 1, 1], DType::F32)])),
        mistake([&[1, 3, 4, 8]; 3], &|g| (Score::alibi(), vec![g.input("s", [3, 1, 1], DType::I32)])),
    ];
    let wanted = [
        "of [batch, heads, length, size], not [2, 3, 4]",
        "3 heads of queries are no multiple of 2 heads of keys",
        "heads of a size of 1 or more",
        "queries have a head size of 8, and keys of 7",
        "keys and values have other heads or lengths",
        "a batch of 1, and keys and values of 2 and 1",
        "takes 1 buffers (slopes), not 0",
        "\"slopes\" is [1, 5, 1, 1], which cannot be broadcast to [1, 3, 4, 4]",
        "\"slopes\" is i32, and should be f32",
    ];
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(found.contains(wanted) && found.contains("tests.rs"), "{found}");
    }
    let own = |write: for<'b> fn(&super::ScorePair<'b>) -> crate::scalar::Value<'b>| {
        ScoreDefinition::new("own").score(write).unwrap_err().to_string()
    };
    assert!(own(|s| s.buffer("missing")).contains("has no buffer \"missing\""));
    assert!(own(|s| s.score() + s.key()).contains("operands are f64 and i32"));
    assert!(own(|s| s.key().less(s.query())).contains("is bool, and should be a float"));
    assert!(own(|s| s.score().call(crate::scalar::ScalarFunction::Round, &[])).contains("round has no derivative"));
}

/// Types of the five tensors that have rows: queries, keys, values, the result and its gradient.
type Types = [DType; 5];

/// A pass with tensors of these types in every kernel, against the CPU with the same values in f32.
fn reads(pass: AttentionPass, [head_size, value_size]: [usize; 2], types: Types) {
    let [batch, heads, key_heads, queries, keys] = [2, 4, 2, 70, 37];
    let op = Attention { score: Score::causal(), scale: 0.3_f64.to_bits(), dropout: None, pass, positions_first: true };
    let rows = |heads, rows, size| vec![batch, heads, rows, size];
    let result = rows(heads, queries, value_size);
    let mut tensors = vec![
        (types[0], rows(heads, queries, head_size)),
        (types[1], rows(key_heads, keys, head_size)),
        (types[2], rows(key_heads, keys, value_size)),
    ];
    if pass == AttentionPass::Backward {
        tensors.extend([(types[3], result.clone()), (DType::F32, vec![batch, heads, queries]), (types[4], result)]);
    }
    let (mut wide, mut narrow) = (Vec::new(), Vec::new());
    for (seed, (dtype, shape)) in tensors.into_iter().enumerate() {
        let bytes = stored(dtype, &numbers(shape.iter().product(), seed as u32));
        let values = if dtype == DType::F32 { bytemuck::pod_collect_to_vec(&bytes) } else { widened(dtype, &bytes) };
        wide.push((operand(DType::F32, &shape), stored(DType::F32, &values)));
        narrow.push((operand(dtype, &shape), bytes));
    }
    let types: Vec<&TensorType> = wide.iter().map(|(operand, _)| &operand.ty).collect();
    let outputs = op.infer(&types).unwrap();
    let mut want: Vec<Vec<f32>> = outputs.iter().map(|ty| vec![0.0; ty.len()]).collect();
    let mut results: Vec<(&TensorType, &mut [u8])> =
        outputs.iter().zip(&mut want).map(|(ty, values)| (ty, bytemuck::cast_slice_mut(values))).collect();
    let inputs: Vec<(&Operand, &[u8])> = wide.iter().map(|(operand, bytes)| (operand, bytes.as_slice())).collect();
    op.evaluate(&inputs, &mut results).unwrap();
    let operands: Vec<Operand> = narrow.iter().map(|(operand, _)| operand.clone()).collect();
    let data: Vec<&[u8]> = narrow.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    let sizes: Vec<usize> = outputs.iter().map(TensorType::bytes).collect();
    let shapes = RoutineShapes { inputs: &operands, outputs: &outputs, epilogue: None };
    for adapter in adapters() {
        for plan in op.kernels(&shapes, &adapter).unwrap() {
            check(&plan, &adapter);
            let Some(mut runner) = Runner::lock() else { continue };
            if !runner.can_run(&plan, &adapter) {
                continue;
            }
            for (got, want) in runner.run(&plan, &data, &sizes).iter().zip(&want) {
                let got: Vec<f32> = bytemuck::pod_collect_to_vec(got);
                testing::assert_close(&plan.dispatches[0].kernel.label, &got, want, 2e-5);
            }
        }
    }
}

#[test]
fn kernels_read_16_bits_as_they_are_stored() {
    use DType::{BF16, F16, F32};
    let cases =
        [([8, 8], [BF16; 5]), ([64, 32], [F16; 5]), ([6, 10], [F32, BF16, F16, F32, BF16]), ([5, 3], [BF16; 5])];
    for (sizes, types) in cases {
        for pass in [AttentionPass::Forward, AttentionPass::Backward] {
            reads(pass, sizes, types);
        }
    }
}
