//! Layers as users build them: names, mistakes, resuming, folding, files of PyTorch.

use wgrad::data::Dataset;
use wgrad::nn::{
    BatchNorm, BatchNormalization, GroupNorm, InstanceNorm, InstanceNormalization, LayerNorm, LayerNormalization,
    LocalResponseNorm, RmsNormalization, fold_batch_norm,
};
use wgrad::prelude::*;
use wgrad::scalar::threefry::HostRandom;
use wgrad::train::{Control, Event, checkpoint_file};

use super::support::devices::devices;

/// Numbers that are the same every time.
pub fn numbers(seed: u64, shape: &[usize]) -> TensorData {
    let mut random = HostRandom::new(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.normal() as f32).collect();
    TensorData::from_vec(values, shape).unwrap()
}

/// The message of a mistake, and whether it names the line that `build` was called for.
fn message(build: impl FnOnce(&Graph)) -> String {
    let g = Graph::new();
    build(&g);
    let error = g.compile(&Device::cpu()).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("norm/layers.rs"), "{error:?} names no line of the caller");
    error
}

#[test]
fn mistakes_name_the_layer_and_the_line() {
    let x = |g: &Graph, shape: &[usize]| g.input("x", shape, F32);
    type Case = (&'static str, Box<dyn FnOnce(&Graph)>);
    let cases: Vec<Case> = vec![
        (
            "batch_norm \"bn\": takes a batch [N, 4, …], but its input is [2, 3, 5]",
            Box::new(move |g| drop(BatchNorm::new(g, "bn", 4).forward(&x(g, &[2, 3, 5]), Mode::Training))),
        ),
        (
            "batch_norm \"bn\": takes a batch [N, 4, …], but its input is [4]",
            Box::new(move |g| drop(BatchNorm::new(g, "bn", 4).forward(&x(g, &[4]), Mode::Evaluation))),
        ),
        (
            "batch_norm \"bn\": takes f32, but its input is i32; cast it",
            Box::new(move |g| drop(BatchNorm::new(g, "bn", 4).forward(&g.input("x", [2, 4], I32), Mode::Training))),
        ),
        (
            "batch_norm \"bn\": has one value for each channel of [1, 4]",
            Box::new(move |g| drop(BatchNorm::new(g, "bn", 4).forward(&x(g, &[1, 4]), Mode::Training))),
        ),
        (
            "batch_norm \"bn\": eps is -1, and must be 0 or more",
            Box::new(|g| drop(BatchNormalization::new().eps(-1.0).build(g, "bn", 4))),
        ),
        (
            "batch_norm \"bn\": momentum is 1.5",
            Box::new(|g| drop(BatchNormalization::new().momentum(1.5).build(g, "bn", 4))),
        ),
        (
            "batch_norm \"bn\": eps is NaN",
            Box::new(|g| drop(BatchNormalization::new().eps(f64::NAN).build(g, "bn", 4))),
        ),
        (
            "batch_norm \"bn\": the name is used already",
            Box::new(|g| drop((BatchNorm::new(g, "bn", 4), BatchNorm::new(g, "bn", 4)))),
        ),
        (
            "batch_norm \"bn\": is applied twice while training, and cannot take the running statistics of both",
            Box::new(move |g| {
                let (bn, x) = (BatchNorm::new(g, "bn", 4), x(g, &[2, 4]));
                let once = bn.forward(&x, Mode::Training);
                drop(bn.forward(&once, Mode::Training));
            }),
        ),
        (
            "batch_norm: wants f32 or f64, not i32",
            Box::new(|g| drop(g.input("x", [2, 4], I32).batch_norm(None, None, 0.0))),
        ),
        (
            "batch_norm: wants weight and bias of shape [4], not [3]",
            Box::new(move |g| drop(x(g, &[2, 4]).batch_norm(Some(&g.input("w", [3], F32)), None, 0.0))),
        ),
        (
            "layer_norm \"ln\": normalises last axes of [4, 5], but its input is [2, 5, 4]",
            Box::new(move |g| drop(LayerNorm::new(g, "ln", [4, 5]).forward(&x(g, &[2, 5, 4])))),
        ),
        ("layer_norm \"ln\": normalises the last 0 axes", Box::new(|g| drop(LayerNorm::new(g, "ln", [])))),
        (
            "layer_norm: wants 3 dimensions or more",
            Box::new(move |g| drop(x(g, &[2, 4]).layer_norm(3, None, None, 0.0))),
        ),
        ("layer_norm: normalises one axis or more", Box::new(move |g| drop(x(g, &[2]).layer_norm(0, None, None, 0.0)))),
        ("rms_norm \"n\": eps is -0.1", Box::new(|g| drop(RmsNormalization::new().eps(-0.1).build(g, "n", [4])))),
        (
            "rms_norm: wants weight and bias of shape [4], not [2]",
            Box::new(move |g| drop(x(g, &[2, 4]).rms_norm(1, Some(&g.input("w", [2], F32)), None))),
        ),
        (
            "group_norm \"n\": 7 channels cannot be divided into 3 groups of equal size",
            Box::new(|g| drop(GroupNorm::new(g, "n", 3, 7))),
        ),
        (
            "group_norm: 4 channels cannot be divided into 0 groups",
            Box::new(move |g| drop(x(g, &[2, 4]).group_norm(0, None, None, 0.0))),
        ),
        (
            "instance_norm \"n\": takes a batch [N, 4, …], with spatial axes, but its input is [2, 4]",
            Box::new(move |g| drop(InstanceNorm::new(g, "n", 4).forward(&x(g, &[2, 4]), Mode::Training))),
        ),
        (
            "instance_norm \"n\": has one value for each channel of [2, 4, 1]",
            Box::new(move |g| drop(InstanceNorm::new(g, "n", 4).forward(&x(g, &[2, 4, 1]), Mode::Training))),
        ),
        (
            "local_response_norm: a window has one channel or more",
            Box::new(move |g| drop(LocalResponseNorm::new(0).forward(&x(g, &[2, 4])))),
        ),
        (
            "local_response_norm: wants a batch [N, C, …], not [4]",
            Box::new(move |g| drop(LocalResponseNorm::new(5).forward(&x(g, &[4])))),
        ),
        (
            "dropout2d: takes a batch [N, C, …] with spatial axes, but its input is [2, 4]",
            Box::new(move |g| drop(nn::Dropout2d::new(0.5).forward(&x(g, &[2, 4]), Mode::Training))),
        ),
        (
            "dropout2d: the probability is 1.5",
            Box::new(move |g| drop(nn::Dropout2d::new(1.5).forward(&x(g, &[2, 4, 1]), Mode::Evaluation))),
        ),
    ];
    for (wanted, build) in cases {
        let found = message(build);
        assert!(found.starts_with(wanted), "{found:?}, wanted {wanted:?}");
    }
}

#[test]
fn a_window_wider_than_the_channels_and_huge_sizes_do_no_harm() {
    let g = Graph::new();
    let x = g.input("x", [2, 3, 2], F32);
    g.output("y", &LocalResponseNorm::new(usize::MAX).forward(&x));
    let data = numbers(1, &[2, 3, 2]);
    let y = g.compile(&Device::cpu()).unwrap().run(&[("x", &data)]).unwrap()["y"].to_f64_vec();
    // α / size is as good as 0.
    y.iter().zip(data.to_f64_vec()).for_each(|(y, x)| assert!((y - x).abs() < 1e-6));
}

#[test]
fn sequential_layers_have_torchs_names_shapes_and_counts() {
    let model = Sequential::new([6, 4, 4])
        .batch_norm()
        .group_norm(3)
        .layer(InstanceNormalization::new().affine().running_stats())
        .local_response_norm(5)
        .dropout2d(0.1)
        .layer_norm()
        .rms_norm()
        .layer(LayerNormalization::new().axes(3).without_bias())
        .flatten()
        .dense(2);
    assert_eq!(model.output_shape().unwrap(), [2].into());
    assert_eq!(model.parameter_count().unwrap(), 12 + 12 + 12 + 8 + 4 + 96 + (96 + 1) * 2);
    let g = Graph::new();
    let x = g.input("x", [5, 6, 4, 4], F32);
    g.output("y", &model.forward(&g, &x, Mode::Training));
    let names: Vec<String> = g.parameters().into_iter().map(|(name, _)| name).collect();
    let wanted = [
        "0.weight", "0.bias", "1.weight", "1.bias", "2.weight", "2.bias", "5.weight", "5.bias", "6.weight", "7.weight",
        "9.weight", "9.bias",
    ];
    assert_eq!(names, wanted);
    let session = g.compile(&Device::cpu()).unwrap();
    for name in ["0.running_mean", "0.running_var", "0.num_batches_tracked", "2.running_var", "2.num_batches_tracked"] {
        assert!(session.parameter(name).is_ok(), "{name}");
    }
    let summary = model.summary();
    for line in ["batch_norm", "group_norm(3)", "local_response_norm(5)", "dropout2d(0.1)", "layer_norm(3 axes)"] {
        assert!(summary.contains(line), "{summary}");
    }
    for (model, wanted) in [
        (Sequential::new([7, 2]).group_norm(2), "layer 0, group_norm(2): 7 channels cannot be divided into 2 groups"),
        (Sequential::new([7]).instance_norm(), "layer 0, instance_norm: takes examples of channels with spatial axes"),
        (Sequential::new([]).batch_norm(), "layer 0, batch_norm: takes examples of one dimension or more"),
        (Sequential::new([]).layer_norm(), "layer 0, layer_norm: normalises the last 1 axes"),
        (Sequential::new([7]).dropout2d(0.5), "layer 0, dropout2d(0.5): takes examples of channels with spatial axes"),
        (Sequential::new([7, 1]).dropout2d(-0.5), "layer 0, dropout2d(-0.5): the probability is -0.5"),
    ] {
        let found = model.output_shape().unwrap_err().to_string().replace("sequential: ", "");
        assert!(found.starts_with(wanted), "{found:?}, wanted {wanted:?}");
    }
}

#[test]
fn dropout2d_drops_whole_channels() {
    for device in devices() {
        let g = Graph::new();
        let x = g.input("x", [40, 8, 3, 2], F32);
        g.output("y", &nn::Dropout2d::new(0.25).forward(&x, Mode::Training));
        let ones = TensorData::from_vec(vec![1.0_f32; 40 * 48], [40, 8, 3, 2]).unwrap();
        let y = g.compile(&device).unwrap().run(&[("x", &ones)]).unwrap()["y"].to_f64_vec();
        let mut dropped = 0;
        for channel in y.chunks(6) {
            assert!(channel.iter().all(|&value| value == channel[0]), "{channel:?}");
            assert!(channel[0] == 0.0 || (channel[0] - 4.0 / 3.0).abs() < 1e-6);
            dropped += usize::from(channel[0] == 0.0);
        }
        assert!((50..110).contains(&dropped), "{dropped} of 320");
    }
}

fn data(count: usize) -> Dataset {
    let labels: Vec<i32> = (0..count as i32).map(|example| example % 3).collect();
    Dataset::new([("x", numbers(3, &[count, 4, 3])), ("y", TensorData::from_vec(labels, [count]).unwrap())]).unwrap()
}

fn trainer(device: &Device) -> Trainer {
    let model = Sequential::new([4, 3]).batch_norm().residual(|block| block.batch_norm().relu()).flatten().dense(3);
    model.compile(device, Adam::new(5e-3), CrossEntropy, [Accuracy]).unwrap().seed(7)
}

fn saved(trainer: &Trainer) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("model.safetensors");
    trainer.save(&file).unwrap();
    std::fs::read(file).unwrap()
}

#[test]
fn a_resumed_run_keeps_running_statistics_to_the_bit() {
    let train = data(30);
    for device in devices() {
        let mut whole = trainer(&device);
        whole.fit(&train, Fit::epochs(3).batch_size(10)).unwrap();
        let session = whole.session().unwrap();
        assert_eq!(session.parameter("0.num_batches_tracked").unwrap().to_f64_vec(), [9.0]);
        assert!(session.parameter("1.block.0.running_mean").unwrap().to_f64_vec().iter().any(|&mean| mean != 0.0));
        let directory = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(directory.path()).every_steps(1).resume(true);
        let mut stop = |event: &Event| match event {
            Event::Step { step, .. } if *step >= 4 => Ok(Control::Stop),
            _ => Ok(Control::Continue),
        };
        let fit = Fit::epochs(3).batch_size(10).callback(&mut stop).checkpoints(checkpoints.clone());
        trainer(&device).fit(&train, fit).unwrap();
        let mut second = trainer(&device);
        second.fit(&train, Fit::epochs(3).batch_size(10).checkpoints(checkpoints)).unwrap();
        assert_eq!(saved(&second), saved(&whole), "{device:?}");
    }
}

/// A file of PyTorch's has the counter as i64, and a model that only predicts does not read it.
#[test]
fn a_file_moves_both_ways_also_without_training() {
    let train = data(30);
    let mut first = trainer(&Device::cpu());
    first.fit(&train, Fit::epochs(1).batch_size(10)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("model.safetensors");
    first.save(&file).unwrap();
    let (tensors, _) = checkpoint_file::read(&file).unwrap();
    assert_eq!(tensors["0.num_batches_tracked"].to_f64_vec(), [3.0]);
    let x = numbers(9, &[2, 4, 3]);
    let wanted = first.predict(&x).unwrap();
    let mut second = trainer(&Device::cpu());
    second.load_parameters(&file).unwrap();
    assert_eq!(second.predict(&x).unwrap(), wanted);
    assert_eq!(saved(&second), std::fs::read(&file).unwrap());
    second.fit(&train, Fit::epochs(1).batch_size(10)).unwrap();
    assert_eq!(second.session().unwrap().parameter("0.num_batches_tracked").unwrap().to_f64_vec(), [6.0]);
}

#[test]
fn a_folded_batch_norm_does_the_same() {
    let (inputs, outputs) = (7, 5);
    let shape = |shape: &[usize]| shape.to_vec();
    let (weight, bias) = (numbers(1, &[outputs, inputs]), numbers(2, &[outputs]));
    let variance = TensorData::from_vec(vec![0.5_f32, 1.0, 2.0, 0.1, 4.0], shape(&[outputs])).unwrap();
    let (mean, gamma, beta) = (numbers(3, &[outputs]), numbers(4, &[outputs]), numbers(5, &[outputs]));
    let x = numbers(6, &[3, inputs]);
    for (with_bias, affine) in [(true, true), (false, true), (true, false), (false, false)] {
        let g = Graph::new();
        let input = g.input("x", [3, inputs], F32);
        let mut y = input.matmul(&g.constant(weight.clone()).transpose(0, 1));
        if with_bias {
            y = y + g.constant(bias.clone());
        }
        let (w, b) = (g.constant(gamma.clone()), g.constant(beta.clone()));
        let (w, b) = if affine { (Some(&w), Some(&b)) } else { (None, None) };
        let (m, v) = (g.constant(mean.clone()), g.constant(variance.clone()));
        g.output("apart", &y.batch_norm_with(&m, &v, w, b, 1e-3));
        let given = |data| with_bias.then_some(data);
        let (gamma, beta) = if affine { (Some(&gamma), Some(&beta)) } else { (None, None) };
        let (weight, bias) = fold_batch_norm(&weight, given(&bias), &mean, &variance, gamma, beta, 1e-3).unwrap();
        g.output("folded", &(input.matmul(&g.constant(weight).transpose(0, 1)) + g.constant(bias)));
        let found = g.compile(&Device::cpu()).unwrap().run(&[("x", &x)]).unwrap();
        for (apart, folded) in found["apart"].to_f64_vec().into_iter().zip(found["folded"].to_f64_vec()) {
            assert!((apart - folded).abs() < 1e-5 * (1.0 + apart.abs()), "{apart} {folded}");
        }
    }
    let wrong = fold_batch_norm(&weight, None, &numbers(1, &[4]), &variance, None, None, 0.0).unwrap_err();
    assert!(wrong.to_string().contains("has 5 outputs, but running_mean is [4]"), "{wrong}");
    assert!(fold_batch_norm(&TensorData::scalar(1.0_f32), None, &mean, &variance, None, None, 0.0).is_err());
    let negative = TensorData::from_vec(vec![-1.0_f32; outputs], [outputs]).unwrap();
    assert!(fold_batch_norm(&weight, None, &mean, &negative, None, None, 0.5).is_err());
}
