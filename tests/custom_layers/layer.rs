//! A layer of one's own in a `Sequential`.

use std::sync::atomic::{AtomicU32, Ordering};

use wgrad::nn::{Dense, Layer, Scope, Setting};
use wgrad::prelude::*;

use super::support::devices::devices;
use super::{data, numbers, variables};

/// What goes in times a gate, which is a model of its own; then a learnt scale, and minus a running mean.
#[derive(Clone, Debug)]
struct Gated {
    gate: Sequential,
    initializer: Initializer,
}

impl Gated {
    fn new(width: usize) -> Self {
        Self { gate: Sequential::new([width]).dense(4).relu().dense(width).sigmoid(), initializer: Initializer::Ones }
    }
}

impl Layer for Gated {
    fn describe(&self) -> String {
        "gated".into()
    }

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, String> {
        let gate = Layer::output_shape(&self.gate, input).map_err(|message| format!("in the gate, {message}"))?;
        if gate == *input { Ok(gate) } else { Err(format!("the gate makes {gate} of {input}")) }
    }

    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        let width = x.shape()[1];
        let gated = x * &scope.apply("gate", &self.gate, x);
        let scaled = gated * scope.parameter("scale", [width], self.initializer);
        let mean = scope.buffer("running_mean", [width], 0.0);
        scope.assign(&mean, &(&mean * 0.9 + scaled.mean([0]) * 0.1));
        scaled - mean
    }

    fn parts(&self) -> Vec<(&'static str, &Sequential)> {
        vec![("gate", &self.gate)]
    }

    fn set(&mut self, setting: &Setting) -> bool {
        match setting {
            Setting::Initializer(initializer) => self.initializer = *initializer,
            _ => return false,
        }
        true
    }
}

fn model() -> Sequential {
    Sequential::new([5]).dense(6).layer(Gated::new(6)).initializer(Initializer::Constant(1.5)).relu().dense(3)
}

#[test]
fn it_stands_in_summaries_with_what_is_in_it() {
    let model = model();
    let table = "
     layer           output  parameters
     input           [5]              0
  0  dense(6)        [6]             36
  1  gated           [6]              6
1.gate.0  dense(4)   [4]             28
1.gate.1  relu       [4]              0
1.gate.2  dense(6)   [6]             30
1.gate.3  sigmoid    [6]              0
  2  relu            [6]              0
  3  dense(3)        [3]             21
     total                          121
";
    let words = |text: &str| -> Vec<Vec<String>> {
        text.trim().lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    assert_eq!(words(&model.summary()), words(table));
    assert_eq!(model.parameter_count().unwrap(), 121);
    let g = Graph::new();
    let _ = model.forward(&g, &g.input("x", [2, 5], F32), Mode::Training);
    let names: Vec<String> = g.parameters().into_iter().map(|(name, _)| name).collect();
    let gate = ["1.gate.0.weight", "1.gate.0.bias", "1.gate.2.weight", "1.gate.2.bias", "1.scale"];
    assert_eq!((&names[2..7], g.error().is_none()), (gate.map(str::to_owned).as_slice(), true));
}

#[test]
fn copies_and_boxes_are_the_same_layer() {
    let boxed: Box<dyn Layer> = Box::new(Gated::new(6));
    let model = || Sequential::new([6]).layer(boxed.clone()).initializer(Initializer::Zeros);
    assert_eq!(model(), model().clone());
    let mut plain = Gated::new(6);
    plain.initializer = Initializer::Zeros;
    assert_eq!(model(), Sequential::new([6]).layer(plain.clone()));
    assert_ne!(model(), Sequential::new([6]).layer(Gated::new(6)));
    assert!(model().layers()[0].downcast_ref::<Gated>().is_some_and(|gated| gated.initializer == Initializer::Zeros));
    // A whole model is a layer, too.
    let nested = Sequential::new([6]).layer(model()).dense(1);
    assert_eq!(nested.parameter_count().unwrap(), model().parameter_count().unwrap() + 7);
    let g = Graph::new();
    let _ = nested.forward(&g, &g.input("x", [2, 6], F32), Mode::Evaluation);
    assert!(g.error().is_none() && g.find("0.0.scale").is_some());
}

/// The same bits from run to run; buffers change while training alone; a file has all that there is.
#[test]
fn it_trains_and_is_saved() {
    let (labels, _) = data(50, &[5]);
    let directory = tempfile::tempdir().unwrap();
    for device in devices() {
        let train = |epochs, checkpoints: Option<Checkpoints>| {
            let mut trainer = model().compile(&device, Adam::new(1e-2), CrossEntropy, [Accuracy]).unwrap().seed(5);
            let mut fit = Fit::epochs(epochs).batch_size(16).validate(&labels);
            if let Some(checkpoints) = checkpoints {
                fit = fit.checkpoints(checkpoints);
            }
            let history = trainer.fit(&labels, fit).unwrap();
            (trainer, history)
        };
        let (mut first, history) = train(6, None);
        let (second, _) = train(6, None);
        let trained = variables(first.session().unwrap());
        assert_eq!(trained, variables(second.session().unwrap()), "{device:?}");
        assert!(history.epochs[5].train_loss < history.epochs[0].train_loss, "{device:?}: {history:?}");

        let mean = |trainer: &Trainer| trainer.session().unwrap().parameter("1.running_mean").unwrap();
        let before = mean(&first);
        assert!(before.to_f64_vec().iter().any(|&value| value != 0.0), "{device:?}");
        let x = numbers(3, &[7, 5]);
        let predicted = first.predict(&x).unwrap();
        assert_eq!(mean(&first), before, "evaluation changes nothing, on {device:?}");

        // Stopped after three epochs and taken up again: the same bits as without.
        let folder = directory.path().join(device.name().replace('/', "_"));
        let checkpoints = || Some(Checkpoints::new(&folder).resume(true));
        train(3, checkpoints());
        let (resumed, _) = train(6, checkpoints());
        assert_eq!(variables(resumed.session().unwrap()), trained, "{device:?}");

        let path = directory.path().join("model.safetensors");
        first.save(&path).unwrap();
        let mut loaded = model().compile(&device, Adam::new(1e-2), CrossEntropy, []).unwrap();
        loaded.load_parameters(&path).unwrap();
        assert_eq!(loaded.predict(&x).unwrap(), predicted, "{device:?}");
    }
}

#[test]
fn mistakes_name_the_layer_and_the_line() {
    let (model, line) = (Sequential::new([5]).dense(6).layer(Gated::new(7)), line!());
    let expected = "sequential: layer 1, gated: in the gate, is for [7], but comes after [6]";
    assert_eq!(model.output_shape().unwrap_err().to_string(), format!("{expected} (at {}:{line})", file!()));
    let error = model.compile(&Device::cpu(), SGD::new(0.1), CrossEntropy, []).err().unwrap().to_string();
    assert_eq!(error, format!("{expected} (at {}:{line})", file!()));

    // A mistake inside names the line inside.
    let mut gated = Gated::new(6);
    let line = line!() + 1;
    gated.gate = Sequential::new([6]).dense(0);
    let error = Sequential::new([6]).layer(gated).output_shape().unwrap_err().to_string();
    let expected = "sequential: layer 0, gated: in the gate, layer 0, dense(0): needs one unit or more";
    assert_eq!(error, format!("{expected} (at {}:{line})", file!()));

    let error = Sequential::new([6]).layer(Gated::new(6)).without_bias().output_shape().unwrap_err().to_string();
    assert!(error.starts_with("sequential: without_bias is for layers with a bias, but it follows gated"), "{error}");

    // What a layer only finds out while it is applied.
    #[derive(Clone, Debug)]
    struct Wrong(fn(&Scope<'_>, &Tensor) -> Tensor);
    impl Layer for Wrong {
        fn describe(&self) -> String {
            "wrong".into()
        }
        fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, String> {
            Ok(input.clone())
        }
        fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
            (self.0)(scope, x)
        }
    }
    let cases: [(Wrong, &str); 4] = [
        (Wrong(|scope, _| scope.mistake("wrong", "has had enough")), "wrong \"0\": has had enough"),
        (
            Wrong(|scope, x| x * &scope.parameter("w", [4], Initializer::HeNormal)),
            "w \"0\": kaiming_normal takes a weight of two dimensions or more, not of shape [4]",
        ),
        (Wrong(|scope, x| scope.apply("inner", &Dense::new(0), x)), "dense(0) \"0.inner\": needs one unit or more"),
        (
            Wrong(|scope, x| {
                let buffer = scope.buffer("sum", [], 0.0);
                scope.assign(&buffer, &x.sum_all());
                scope.assign(&buffer, &x.mean_all());
                x.clone()
            }),
            "layer \"0\": is applied twice while training",
        ),
    ];
    for (wrong, expected) in cases {
        let g = Graph::new();
        let (model, line) = (Sequential::new([6]).layer(wrong), line!());
        let _ = model.forward(&g, &g.input("x", [2, 6], F32), Mode::Training);
        let error = g.error().unwrap().to_string();
        assert!(error.starts_with(expected), "{error}");
        assert!(error.contains(&format!("{}:{line} in 0.wrong", file!())), "{error}");
    }
}

/// A line of a layer of one's own is told as it is, with the layer: no line of who added it.
#[test]
fn what_a_layer_does_wrong_comes_from_its_own_line() {
    #[derive(Clone, Debug)]
    struct Logarithm;

    impl Layer for Logarithm {
        fn describe(&self) -> String {
            "logarithm".into()
        }

        fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, String> {
            Ok(input.clone())
        }

        fn forward(&self, _: &Scope<'_>, x: &Tensor) -> Tensor {
            LINE.store(line!() + 1, Ordering::Relaxed);
            x.log()
        }
    }

    static LINE: AtomicU32 = AtomicU32::new(0);
    for device in devices() {
        let g = Graph::new();
        let x = g.input("x", [2, 3], F32);
        let loss = Sequential::new([3]).layer(Logarithm).dense(1).forward(&g, &x, Mode::Training).mean_all();
        g.minimize(&loss, SGD::new(0.1)).build();
        let mut session = g.compile(&device).unwrap();
        session.watch_non_finite(true).unwrap();
        let negative = TensorData::from_f64(F32, &[-1.0; 6], [2, 3]).unwrap();
        let error = session.run(&[("x", &negative)]).unwrap_err().to_string();
        let expected = format!("layer.rs:{} in 0.logarithm", LINE.load(Ordering::Relaxed));
        assert!(error.contains(&expected), "{error}; wanted {expected}");
    }
}
