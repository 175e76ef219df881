//! Every node carries the line of the user's code that built it, also where a method builds several.

use wgrad::data::Dataset;
use wgrad::loss;
use wgrad::nn::Augment;
use wgrad::ops::{Order, Running};
use wgrad::prelude::*;
use wgrad::session::ProgramId;

#[test]
fn every_node_carries_the_users_line() {
    let g = Graph::new();
    let (x, n) = (g.input("x", [2, 3], F32), g.input("n", [2, 3], I32));
    let row = g.input("row", [3], I32);
    let mut results = vec![
        x.clone() + 1.0 - 2.0 * &x,
        x.matmul(&x.transpose(0, 1)),
        x.broadcast_to([4, 2, 3]).matmul(&x.transpose(0, 1)),
        x.broadcast_to([4, 2, 3]).matmul(&x.transpose(0, 1).broadcast_to([5, 4, 3, 2])),
        x.at(0, 0).matmul(&x.at(0, 1)),
        g.concat(&[&x; 20], 0),
        g.stack(&[&x, &x], -1),
        x.scatter_add(1, &n.slice(0, 0, 1), &x),
        x.scatter_add(1, &n, &x),
        x.index_add(1, &row, &x),
        x.gather(1, &n),
        x.take(1, &row),
        x.softmax(-1),
        x.variance([0], 1),
        x.mean_all(),
        x.clamp(0.0, 1.0),
        n.one_hot(4, F32),
        x.sort(0, Order::Descending).0,
        x.top_k(2, 1).0,
        x.flip(&[0]),
        x.pad(&[1, 1], &[0, 0], 2.0),
        x.cumulative_sum(Running::along(0).reverse().exclusive()),
        x.gt(0.0).select(&x, 1.0),
        g.random_uniform([2], 1.0, 2.0),
        g.random_normal([2], 0.0, 1.0),
        g.random_bernoulli([2], 0.5).cast(F32),
        &x * g.host_scalar("rate", |_| 1.0),
    ];
    results.extend(x.split(1, &[1, 2]));
    let loss = results.iter().fold(x.sum_all(), |sum, part| sum + part.sum_all());
    let first = g.gradients(&loss.sin(), &[&x]).swap_remove(0);
    let second = g.gradients(&first.square().sum_all(), &[&x]).swap_remove(0);
    g.output("second", &second);
    let session = g.compile(&Device::cpu()).unwrap();
    let printed = &session.stages(ProgramId::FIRST).graph;
    let strangers: Vec<&str> = printed
        .lines()
        .filter(|line| line.starts_with('%') && !line.contains("// tests/mistakes/origins.rs:"))
        .collect();
    assert!(printed.lines().count() > 200);
    assert!(strangers.is_empty(), "{} of {}:\n{}", strangers.len(), printed.lines().count(), strangers.join("\n"));
}

/// The lines of a program's graph that do not come from this file.
fn strangers(session: &Session, id: ProgramId) -> Vec<String> {
    let printed = &session.stages(id).graph;
    let lines = printed.lines().filter(|line| line.starts_with('%'));
    lines.filter(|line| !line.contains("// tests/mistakes/origins.rs:")).map(str::to_owned).collect()
}

fn pictures() -> Dataset {
    let x = TensorData::zeros(U8, [6, 3, 16, 16]);
    Dataset::new([("x", x), ("y", TensorData::zeros(I32, [6]))]).unwrap()
}

fn every_kind_of_layer() -> Sequential {
    let model = Sequential::new([3, 16, 16])
        .conv2d(8, 3)
        .padding(1)
        .stride(1)
        .batch_norm()
        .relu()
        .max_pool2d(2)
        .residual(|block| {
            block.conv2d(8, 3).padding(1).group_norm(2).gelu() // a line of its own
        })
        .dropout2d(0.1)
        .avg_pool2d(2)
        .instance_norm()
        .local_response_norm(2)
        .conv_transpose2d(4, 2)
        .global_avg_pool();
    model
        .dense(12)
        .layer_norm()
        .rms_norm()
        .dropout(0.2)
        .residual_with(|block| block.dense(9).tanh(), |shortcut| shortcut.dense(9))
        .dense(4)
}

/// What a trainer adds to a model comes from the line that made the trainer; layers from where they were added.
#[test]
fn layers_and_trainers_carry_the_users_lines() {
    let data = pictures();
    let noisy = Augment::new()
        .flip_horizontal(0.5)
        .crop(2)
        .rotation(5.0)
        .cutout(2)
        .gaussian_noise(0.1)
        .normalize([0.5; 3], [0.2; 3]);
    for precision in [Precision::F32, Precision::F16] {
        let noisy = noisy.clone();
        let trainer =
            every_kind_of_layer().compile(&Device::cpu(), AdamW::new(1e-3), CrossEntropy, [Accuracy]).unwrap();
        let mut trainer = trainer.prepare(move |x, mode| noisy.apply(&x.cast(F32), mode)).precision(precision);
        trainer = trainer.clip_norm(1.0).minimize(|step| step.accumulate(2).clip_value(3.0));
        let training = trainer.compile_training(&data, 3).unwrap();
        trainer.evaluate(&data).unwrap();
        trainer.predict(data.column("x").unwrap()).unwrap();
        trainer.input_gradient(data.column("x").unwrap()).unwrap();
        let session = trainer.session().unwrap();
        let printed = &session.stages(training).graph;
        assert!(printed.lines().count() > 300);
        for number in 0..=16 {
            assert!(printed.contains(&format!(" in {number}.")), "nothing is of layer {number}");
        }
        for name in [
            "0.conv2d(8, 3)",
            "1.batch_norm",
            "4.block.0.conv2d(8, 3)",
            "4.block.2.gelu",
            "15.shortcut.0.dense(9)",
            "16.dense(4)",
            "prepare",
            "loss",
            "optimizer",
        ] {
            assert!(
                printed.lines().any(|line| line.ends_with(&format!(" in {name}"))),
                "nothing is of {name}\n{printed}"
            );
        }
        let block = line_of("a line of its own");
        assert!(printed.contains(&format!("origins.rs:{block} in 4.block.0.conv2d(8, 3)")), "{printed}");
        for id in session.programs() {
            let strangers = strangers(session, id);
            assert!(strangers.is_empty(), "{} lines:\n{}", strangers.len(), strangers.join("\n"));
        }
    }
}

/// The line of this file that has some words.
fn line_of(words: &str) -> usize {
    include_str!("origins.rs").lines().position(|line| line.ends_with(&format!("// {words}"))).unwrap() + 1
}

#[test]
fn sequences_and_models_of_ones_own_carry_lines_and_names_of_layers() {
    let x = TensorData::zeros(I32, [4, 7]);
    let data = Dataset::new([("x", x), ("y", TensorData::zeros(F32, [4, 1]))]).unwrap();
    let model = Sequential::new([7])
        .embedding(5, 6)
        .lstm(3)
        .bidirectional()
        .return_sequences(true)
        .gru(4)
        .num_layers(2)
        .dense(1)
        .sigmoid();
    let mut first = model.compile(&Device::cpu(), Adam::new(1e-3), BinaryCrossEntropy, []).unwrap();
    let own = |g: &Graph, x: &Tensor, mode: Mode| {
        let x = nn::Embedding::new(g, "words", 5, 6).forward(x).permute(&[1, 0, 2]);
        let read = nn::LSTM::new(g, "reader", 6, 3).forward(&x, mode);
        let step = nn::GRUCell::new(g, "cell", 3, 3).forward(&read.at(0, 6), None);
        nn::Linear::new(g, "out", 3, 1).forward(&nn::LayerNorm::new(g, "norm", [3]).forward(&step))
    };
    let loss = loss::custom(|x, y| (x - y).square().mean_all());
    let mut second = Trainer::new(own, &Device::cpu(), RMSprop::new(1e-3), loss, []);
    for (trainer, names) in [
        (
            &mut first,
            &["0.embedding(5, 6)", "1.lstm(3, bidirectional)", "2.gru(4, 2 layers)", "3.dense(1)", "4.sigmoid"][..],
        ),
        (&mut second, &["words", "reader", "cell", "norm", "out", "loss", "optimizer"][..]),
    ] {
        let id = trainer.compile_training(&data, 2).unwrap();
        let session = trainer.session().unwrap();
        let strangers = strangers(session, id);
        assert!(strangers.is_empty(), "{} lines:\n{}", strangers.len(), strangers.join("\n"));
        let printed = &session.stages(id).graph;
        for name in names {
            assert!(
                printed.lines().any(|line| line.ends_with(&format!(" in {name}"))),
                "nothing is of {name}\n{printed}"
            );
        }
        // Where time goes, by layer.
        let profile = trainer.profile(&data, 2).unwrap();
        let layers: Vec<&str> = profile.steps.iter().filter_map(|step| step.origin.layer()).collect();
        assert!(names.iter().filter(|name| layers.contains(name)).count() >= names.len() - 2, "{layers:?}");
        assert!(
            profile.to_string().contains(&format!(" in {}", layers[0]))
                && profile.chrome_trace().contains("\"layer\":")
        );
    }
}

#[test]
fn a_layer_that_does_not_fit_is_named_with_its_line() {
    let message = |model: Sequential| {
        let error = model.compile(&Device::cpu(), SGD::new(0.1), CrossEntropy, []).map(|_| ()).unwrap_err();
        error.to_string()
    };
    let here = |line: u32| format!("(at {}:{line}", file!());
    let line = line!() + 1;
    let wrong = Sequential::new([4]).dense(3).conv2d(2, 3);
    let expected = "sequential: layer 1, conv2d(2, 3): takes examples of [channels, height, width], not [3] ";
    assert_eq!(message(wrong.relu()), format!("{expected}{})", here(line)));
    let line = line!() + 1;
    let wrong = Sequential::new([4]).relu().stride(3);
    assert!(message(wrong.dense(3)).ends_with(&format!("it follows relu {})", here(line))));
    let block = Sequential::new([4]).dense(3).residual(|block| block.dense(5));
    assert!(message(block).contains("layer 1, residual: "));
    let line = line!() + 1;
    let within = |block: Sequential| block.relu().dense(0);
    let error = message(Sequential::new([4]).dense(3).residual(within).dense(2));
    assert!(error.contains("in the block, layer 1, dense(0)") && error.ends_with(&(here(line) + ")")), "{error}");
    // What is found only in the graph has the line of its layer, or that of the trainer.
    let flat = Dataset::new([("x", TensorData::zeros(F32, [6, 768])), ("y", TensorData::zeros(I32, [6]))]).unwrap();
    let refused = |trainer: Result<Trainer>, data: &Dataset| {
        trainer.unwrap().compile_training(data, 3).map(|_| ()).unwrap_err().to_string()
    };
    let (cpu, sgd) = (Device::cpu(), SGD::new(0.1));
    let line = line!() + 1;
    let model = Sequential::new([768]).dense(2).initializer(Initializer::Normal { mean: 0.0, std: -1.0 });
    let error = refused(model.compile(&cpu, sgd, CrossEntropy, []), &flat);
    assert!(error.ends_with(&format!("is no distribution {} in 0.dense(2))", here(line))), "{error}");
    let line = line!() + 1;
    let trainer = Sequential::new([768]).dense(2).compile(&cpu, sgd, loss::Mse, []);
    let error = refused(trainer, &flat);
    assert!(error.starts_with("mse: the prediction is [3, 2]") && error.ends_with(&(here(line) + ")")), "{error}");
    let line = line!() + 1;
    let trainer = Sequential::new([5]).dense(2).compile(&cpu, sgd, CrossEntropy, []);
    let error = refused(trainer, &pictures());
    assert!(error.contains("takes a batch of [5]") && error.ends_with(&(here(line) + ")")), "{error}");
}
