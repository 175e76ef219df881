//! What `Graph::minimize` makes of a loss: how many kernels, and what accumulation, loss scales, schedules and decay do.

mod support;

use support::devices::devices;
use wgrad::compiler::Options;
use wgrad::ops::{Initial, Variable};
use wgrad::optim::LossScale;
use wgrad::prelude::*;
use wgrad::tensor::TensorType;

fn values(data: &[f64]) -> TensorData {
    TensorData::from_f64(F32, data, [data.len()]).unwrap_or_else(|_| TensorData::zeros(F32, [0]))
}

/// A parameter `p` of two numbers, whose gradient is the input `g`.
fn line(start: [f64; 2]) -> (Graph, Tensor) {
    let g = Graph::new();
    let variable = Variable::parameter("p", TensorType::new(F32, [2]), Initial::Values(values(&start)));
    let loss = (g.variable(variable) * g.input("g", [2], F32)).sum_all();
    (g, loss)
}

/// The parameter after a step for each gradient.
fn run(session: &mut Session, gradients: &[[f64; 2]]) -> Result<Vec<Vec<f64>>> {
    let mut found = Vec::new();
    for gradient in gradients {
        session.step(&[("g", &values(gradient))])?;
        found.push(session.parameter("p")?.to_f64_vec());
    }
    Ok(found)
}

#[track_caller]
fn assert_close(found: &[f64], right: &[f64]) {
    let close =
        found.len() == right.len() && found.iter().zip(right).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs().max(1.0));
    assert!(close, "{found:?} should be {right:?}");
}

fn mistake(g: &Graph) -> String {
    g.error().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn all_parameters_are_updated_by_one_kernel() -> Result<()> {
    devices().iter().try_for_each(|device| {
        let g = Graph::new();
        let (x, y) = (g.input("x", [32, 100], F32), g.input("y", [32, 1], F32));
        let model = Sequential::new([100]).dense(64).relu().dense(32).relu().dense(1).sigmoid();
        let loss = model.forward(&g, &x, Mode::Training).binary_cross_entropy(&y);
        let session = g.minimize(&loss, Adam::new(1e-3)).compile(device)?;
        assert_eq!(session.program().dispatches(), 10, "{}", session.program());

        let g = Graph::new();
        let (x, y) = (g.input("x", [128, 784], F32), g.input("y", [128], I32));
        let model = Sequential::new([784]).dense(512).relu().dense(512).relu().dense(10);
        let loss = model.forward(&g, &x, Mode::Training).cross_entropy(&y);
        let session = g.minimize(&loss, AdamW::new(1e-3)).compile(device)?;
        // A product may take two dispatches on a GPU that has many units.
        assert_eq!(session.program().steps.len(), if device.is_cpu() { 11 } else { 12 }, "{}", session.program());
        let updates = session.program().steps.iter().filter(|step| step.label.starts_with("update of")).count();
        assert_eq!(updates, 1, "{}", session.program());
        Ok(())
    })
}

#[test]
fn fused_and_plain_programs_train_alike() -> Result<()> {
    devices().iter().try_for_each(|device| {
        let train = |fuse: bool| -> Result<Vec<TensorData>> {
            let g = Graph::new();
            let (x, y) = (g.input("x", [6, 3], F32), g.input("y", [6], F32));
            let model = Sequential::new([3]).dense(5).tanh().dropout(0.2).dense(1).sigmoid();
            let loss = BinaryCrossEntropy.forward(&model.forward(&g, &x, Mode::Training), &y);
            g.minimize(&loss, AdamW::new(0.05)).clip_norm(0.5).accumulate(2).build();
            let mut session = Session::with_options(&g, device, 7, Options { fuse, ..Options::default() })?;
            let x: Vec<f64> = (0..18).map(|k| f64::from(k * 5 % 7) / 3.0 - 1.0).collect();
            let (x, y) = (TensorData::from_f64(F32, &x, [6, 3])?, values(&[0.0, 1.0, 1.0, 0.0, 1.0, 0.0]));
            for _ in 0..10 {
                session.step(&[("x", &x), ("y", &y)])?;
            }
            g.parameters().iter().map(|(name, _)| session.parameter(name)).collect()
        };
        for (fused, plain) in train(true)?.iter().zip(train(false)?) {
            assert_close(&fused.to_f64_vec(), &plain.to_f64_vec());
        }
        Ok(())
    })
}

#[test]
fn accumulated_steps_are_one_with_their_mean() -> Result<()> {
    devices().iter().try_for_each(|device| {
        let gradients = [[1.0, -2.0], [3.0, 0.5], [-1.0, 0.25], [0.5, 4.0], [2.0, 1.0], [0.0, 1.0]];
        let means: Vec<[f64; 2]> = gradients
            .chunks(2)
            .map(|pair| [(pair[0][0] + pair[1][0]) / 2.0, (pair[0][1] + pair[1][1]) / 2.0])
            .collect();
        let schedule = schedule::Exponential { gamma: 0.5 };
        let (g, loss) = line([1.0, -1.0]);
        let minimize = g.minimize(&loss, Adam::new(0.1).weight_decay(0.1)).clip_norm(1.0).schedule(schedule);
        let whole = run(&mut minimize.compile(device)?, &means)?;
        let (g, loss) = line([1.0, -1.0]);
        let minimize = g.minimize(&loss, Adam::new(0.1).weight_decay(0.1)).clip_norm(1.0).schedule(schedule);
        let parts = run(&mut minimize.accumulate(2).compile(device)?, &gradients)?;
        assert_eq!(parts[0], [1.0, -1.0]);
        for (update, right) in whole.iter().enumerate() {
            assert_close(&parts[2 * update + 1], right);
        }
        assert_eq!(parts[1], parts[2]);
        Ok(())
    })
}

#[test]
fn a_schedule_is_over_the_steps() -> Result<()> {
    devices().iter().try_for_each(|device| {
        let (g, loss) = line([0.0, 0.0]);
        let schedule = schedule::Step { every: 2, gamma: 0.1 };
        let mut session = g.minimize(&loss, SGD::new(1.0)).schedule(schedule).compile(device)?;
        let found = run(&mut session, &[[1.0, -1.0]; 4])?;
        for (found, right) in found.iter().zip([1.0, 2.0, 2.1, 2.2]) {
            assert_close(found, &[-right, right]);
        }
        session.set_learning_rate(10.0)?; // the base, from now on
        assert_close(&run(&mut session, &[[1.0, -1.0]])?[0], &[-2.3, 2.3]);
        Ok(())
    })
}

#[test]
fn decay_has_three_forms() -> Result<()> {
    devices().iter().try_for_each(|device| {
        let step = |sgd: SGD| -> Result<Vec<f64>> {
            let (g, loss) = line([2.0, -4.0]);
            Ok(run(&mut g.minimize(&loss, sgd).compile(device)?, &[[1.0, 1.0]])?.swap_remove(0))
        };
        assert_close(&step(SGD::new(0.5).weight_decay(0.1))?, &[2.0 - 0.5 * 1.2, -4.0 - 0.5 * 0.6]);
        assert_close(&step(SGD::new(0.5).l1(0.1))?, &[2.0 - 0.5 * 1.1, -4.0 - 0.5 * 0.9]);
        assert_close(&step(SGD::new(0.5).decoupled_weight_decay(0.1))?, &[2.0 * 0.95 - 0.5, -4.0 * 0.95 - 0.5]);
        Ok(())
    })
}

#[test]
fn biases_can_be_spared_the_decay() -> Result<()> {
    devices().iter().try_for_each(|device| {
        let g = Graph::new();
        let x = g.input("x", [1, 2], F32);
        let layer =
            nn::Dense::new(2).initializer(Initializer::Ones).bias_initializer(Initializer::Ones).build(&g, "fc", 2);
        let loss = (layer.forward(&x) * 0.0).sum_all();
        let minimize = g.minimize(&loss, SGD::new(1.0).weight_decay(0.5)).weight_decay_excludes_bias();
        let mut session = minimize.compile(device)?;
        session.step(&[("x", &TensorData::zeros(F32, [1, 2]))])?;
        assert_eq!(session.parameter("fc.weight")?.to_f64_vec(), [0.5; 4]);
        assert_eq!(session.parameter("fc.bias")?.to_f64_vec(), [1.0; 2]);
        Ok(())
    })
}

#[test]
fn what_the_loss_does_not_depend_on_stays() -> Result<()> {
    devices().iter().try_for_each(|device| {
        let g = Graph::new();
        let x = g.input("x", [1, 2], F32);
        let frozen =
            nn::Dense::new(2).initializer(Initializer::Ones).build(&g, "frozen", 2).forward(&x).stop_gradient();
        let _ = nn::Linear::new(&g, "unused", 2, 2);
        let loss = nn::Linear::new(&g, "fc", 2, 1).forward(&frozen).sum_all();
        let mut session = g.minimize(&loss, SGD::new(0.1).weight_decay(0.5)).compile(device)?;
        session.step(&[("x", &TensorData::zeros(F32, [1, 2]))])?;
        assert_eq!(session.parameter("frozen.weight")?.to_f64_vec(), [1.0; 4]);
        assert!(session.parameter("unused.weight").is_err());
        Ok(())
    })
}

#[test]
fn a_step_that_is_not_finite_changes_only_the_scale() -> Result<()> {
    devices().iter().try_for_each(|device| {
        let (g, loss) = line([1.0, 1.0]);
        let scale = LossScale::Dynamic { initial: 8.0, growth: 2.0, backoff: 0.5, interval: 2 };
        let mut session = g.minimize(&loss, SGD::new(1.0).momentum(0.5)).loss_scale(scale).compile(device)?;
        let mut scales = Vec::new();
        let mut last = vec![1.0, 1.0];
        for (gradient, right) in [
            ([0.5, 0.0], Some([0.5, 1.0])),
            ([f64::INFINITY, 0.0], None),
            ([f64::NAN, 1.0], None),
            ([0.0, 0.0], Some([0.25, 1.0])),
            ([0.0; 2], Some([0.125, 1.0])),
        ] {
            last = right.map_or(last, |right| right.to_vec());
            assert_eq!(run(&mut session, &[gradient])?[0], last);
            scales.push(session.parameter("loss_scale")?.item()?);
        }
        assert_eq!(scales, [8.0, 4.0, 2.0, 2.0, 4.0]);
        Ok(())
    })
}

#[test]
fn sixteen_bits_come_close() -> Result<()> {
    devices().iter().try_for_each(|device| {
        let losses = |precision: Precision| -> Result<f64> {
            let g = Graph::new();
            g.set_precision(precision);
            let (x, y) = (g.input("x", [64, 8], F32), g.input("y", [64], I32));
            let loss = Sequential::new([8]).dense(16).tanh().dense(3).forward(&g, &x, Mode::Training).cross_entropy(&y);
            let mut session = g.minimize(&loss, Adam::new(0.02)).loss_scale(256.0).compile(device)?;
            let x: Vec<f64> = (0..64 * 8).map(|k| (f64::from(k * k % 97) / 48.5) - 1.0).collect();
            let y: Vec<i32> = (0..64).map(|k| if x[k * 8] > 0.3 { 2 } else { i32::from(x[k * 8 + 1] > 0.0) }).collect();
            let (x, y) = (TensorData::from_f64(F32, &x, [64, 8])?, TensorData::from_vec(y, [64])?);
            for _ in 0..60 {
                session.step(&[("x", &x), ("y", &y)])?;
            }
            session.read("loss")?.item()
        };
        let exact = losses(Precision::F32)?;
        assert!(exact < 0.5, "{exact}");
        for precision in [Precision::BF16, Precision::F16] {
            let loss = losses(precision)?;
            assert!(
                loss != exact && (loss - exact).abs() < 0.05 * exact.max(0.1),
                "{precision:?}: {loss}, not {exact}"
            );
        }
        Ok(())
    })
}

#[test]
fn dropout_keeps_the_mean_and_draws_anew() -> Result<()> {
    devices().iter().try_for_each(|device| {
        let g = Graph::new();
        let x = g.input("x", [100, 100], F32);
        let y = nn::Dropout::new(0.2).forward(&x, Mode::Training);
        let other = nn::Dropout::new(0.2).forward(&x, Mode::Training);
        g.output("y", &y);
        g.output("other", &other);
        g.output("gradient", &g.gradients(&y.sum_all(), &[&x])[0]);
        let mut session = g.compile(device)?;
        let ones = TensorData::from_f64(F32, &[1.0; 10_000], [100, 100])?;
        let first = session.run(&[("x", &ones)])?;
        let dropped = first["y"].to_f64_vec();
        assert!(dropped.iter().all(|&value| value == 0.0 || value == 1.25));
        assert!((dropped.iter().sum::<f64>() / 10_000.0 - 1.0).abs() < 0.02);
        assert_eq!(dropped, first["gradient"].to_f64_vec());
        assert_ne!(first["y"], first["other"]);
        session.step(&[("x", &ones)])?;
        assert_ne!(session.read("y")?, first["y"]);
        let mut again = g.compile(device)?;
        assert_eq!(again.run(&[("x", &ones)])?, first);
        Ok(())
    })
}

#[test]
fn mistakes_are_told_with_the_line() {
    let (g, _) = line([0.0, 0.0]);
    let p = g.parameters().swap_remove(0).1;
    let (result, here) = (g.minimize(&p, SGD::new(0.1)).compile(&Device::cpu()), line!());
    let expected =
        format!("minimize: the loss is f32[2], and must be a single float; reduce it (at {}:{here})", file!());
    assert_eq!(result.err().map(|error| error.to_string()), Some(expected));

    #[allow(clippy::type_complexity, reason = "the table says what it is")]
    let cases: [(fn(&Graph, &Tensor), &str); 8] = [
        (|g, loss| g.minimize(&loss.stop_gradient(), SGD::new(0.1)).build(), "the loss depends on no parameter"),
        (|g, loss| g.minimize(loss, SGD::new(-0.1)).build(), "the learning rate is -0.1"),
        (|g, loss| g.minimize(loss, SGD::new(0.1).nesterov()).build(), "nesterov needs momentum"),
        (
            |g, loss| g.minimize(loss, Adam::new(0.1).betas(0.9, 1.0)).build(),
            "beta 2 is 1, and must be from 0 up to, without, 1",
        ),
        (|g, loss| g.minimize(loss, AdamW::new(0.1).weight_decay(-1.0)).build(), "decoupled weight decay is -1"),
        (|g, loss| g.minimize(loss, SGD::new(0.1)).clip_norm(0.0).build(), "clip_norm is 0"),
        (
            |g, loss| g.minimize(loss, SGD::new(0.1)).accumulate(0).build(),
            "gradients are accumulated over at least 1 step",
        ),
        (|g, loss| g.minimize(loss, SGD::new(0.1)).loss_scale(f64::NAN).build(), "Fixed(NaN) is no loss scale"),
    ];
    for (build, expected) in cases {
        let (g, loss) = line([0.0, 0.0]);
        build(&g, &loss);
        assert!(mistake(&g).starts_with(&format!("minimize: {expected}")), "{}", mistake(&g));
    }
}

/// A step on parameters of these lengths, whose gradients are products: twice what is given for each. Their norm, the parameters after the
/// step, and the number of steps in the program that sum squares.
fn clipped_step(device: &Device, lengths: &[usize]) -> Result<(f64, Vec<Vec<f64>>, usize)> {
    let g = Graph::new();
    let mut loss = g.scalar(F32, 0.0);
    let mut inputs = vec![("upstream".to_owned(), TensorData::from_vec(vec![2.0_f32, 7.0], [2, 1])?)];
    let upstream = g.input("upstream", [2, 1], F32);
    for (index, &length) in lengths.iter().enumerate() {
        let start = Initial::Values(TensorData::zeros(F32, [length, 1]));
        let parameter = g.variable(Variable::parameter(format!("p{index}"), TensorType::new(F32, [length, 1]), start));
        let rows = g.input(&format!("g{index}"), [2, length], F32);
        loss = loss + (rows.matmul(&parameter) * &upstream).sum_all();
        let mut values: Vec<f32> = (0..length).map(|k| ((index * 31 + k * 7) % 11) as f32 - 5.0).collect();
        values.resize(2 * length, 0.0);
        inputs.push((format!("g{index}"), TensorData::from_vec(values, [2, length])?));
    }
    let mut session = g.minimize(&loss, SGD::new(0.5)).clip_norm(3.0).compile(device)?;
    let inputs: Vec<(&str, &TensorData)> = inputs.iter().map(|(name, data)| (name.as_str(), data)).collect();
    let norm = session.run(&inputs)?.get("gradient_norm").map_or(f64::NAN, |norm| norm.to_f64_vec()[0]);
    let sums = session.program().steps.iter().filter(|step| step.label.contains("square+sum")).count();
    let parameters =
        (0..lengths.len()).map(|index| session.parameter(&format!("p{index}")).map(|data| data.to_f64_vec()));
    Ok((norm, parameters.collect::<Result<_>>()?, sums))
}

/// Whatever the lengths, and wherever there is padding, the norm is that of all gradients.
#[test]
fn the_norm_is_that_of_all_gradients() -> Result<()> {
    let many: Vec<usize> = (0..40).map(|k| [64, 128, 3, 192, 64, 65][k % 6]).collect();
    for (lengths, most) in [
        (vec![64, 64, 128], 1),
        (vec![64, 128, 65], 1),
        (vec![3, 64, 64], 2),
        (vec![65, 3, 1], 3),
        (vec![5], 1),
        (many, 24),
    ] {
        for device in devices() {
            check_clipped(&device, &lengths, most)?;
        }
    }
    Ok(())
}

fn check_clipped(device: &Device, lengths: &[usize], most: usize) -> Result<()> {
    let (norm, parameters, sums) = clipped_step(device, lengths)?;
    let gradient = |index: usize, k: usize| 2.0 * (((index * 31 + k * 7) % 11) as f64 - 5.0);
    let all = lengths.iter().enumerate().flat_map(|(index, &length)| (0..length).map(move |k| (index, k)));
    let wanted = all.map(|(index, k)| gradient(index, k).powi(2)).sum::<f64>().sqrt();
    assert!((norm - wanted).abs() <= 1e-5 * wanted, "{lengths:?}: {norm} is not {wanted}");
    let factor = (3.0 / (wanted + 1e-6)).min(1.0);
    for (index, parameter) in parameters.iter().enumerate() {
        for (k, value) in parameter.iter().enumerate() {
            let wanted = -0.5 * factor * gradient(index, k);
            assert!((value - wanted).abs() <= 1e-5, "{lengths:?}: p{index}[{k}] is {value}, not {wanted}");
        }
    }
    assert!(sums <= most, "{lengths:?}: {sums} sums");
    Ok(())
}
