//! A loss, a metric, an optimizer and a schedule of one's own: each is bit for bit what wgrad's of the same definition is, and as
//! fast.

use std::sync::Arc;

use wgrad::data::Dataset;
use wgrad::loss::{self, CrossEntropyOptions, CrossEntropyWith, Mse, aligned, labels};
use wgrad::metrics::{Batch, BuiltIn, Measure, Perplexity, Reading, Sums};
use wgrad::optim::schedule::{Exponential, Memory, ReduceOnPlateau};
use wgrad::optim::{Decay, Group, Minimize, Update};
use wgrad::prelude::*;
use wgrad::train::{Control, Event};

use super::support::devices::devices;
use super::{data, numbers, variables};

/// Gradient descent with momentum.
#[derive(Debug)]
struct Descent {
    learning_rate: f64,
    momentum: f64,
    decay: Decay,
}

impl Optimizer for Descent {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn decay(&self) -> Decay {
        self.decay
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.momentum < 1.0 { Ok(()) } else { Err(format!("momentum is {}", self.momentum)) }
    }

    fn update(&self, update: &mut Update<'_>) -> Tensor {
        let buffer = update.state("momentum_buffer", 0.0);
        let gradient = update.gradient().clone();
        let buffer = update.set_state(&buffer, &buffer * self.momentum + gradient);
        update.parameter() - &(buffer * update.learning_rate())
    }
}

/// Adam, as its paper has it.
#[derive(Debug)]
struct Moments {
    learning_rate: f64,
    decay: Decay,
}

impl Optimizer for Moments {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn decay(&self) -> Decay {
        self.decay
    }

    fn update(&self, update: &mut Update<'_>) -> Tensor {
        let gradient = update.gradient().clone();
        let (mean, square) = (update.state("exp_avg", 0.0), update.state("exp_avg_sq", 0.0));
        let mean = update.set_state(&mean, &mean + &((&gradient - &mean) * (1.0 - 0.9)));
        let square = update.set_state(&square, &square * 0.999 + gradient.square() * (1.0 - 0.999));
        let size = update.scalar("own.size", |step| step.learning_rate / (1.0 - 0.9_f64.powf(step.step as f64)));
        let scale = update.scalar("own.scale", |step| (1.0 - 0.999_f64.powf(step.step as f64)).sqrt().recip());
        update.parameter() - &(mean * size / (square.sqrt() * scale + 1e-8))
    }
}

/// What can be done to a step besides.
const CHANGES: [fn(Minimize) -> Minimize; 7] = [
    |minimize| minimize,
    |minimize| minimize.clip_norm(0.1),
    |minimize| minimize.clip_value(0.01).weight_decay_excludes_bias(),
    |minimize| minimize.accumulate(3),
    |minimize| minimize.loss_scale(128.0),
    |minimize| minimize.group(Group::named("0.").learning_rate(0.01)).group(Group::named("2.").without_decay()),
    |minimize| minimize.schedule(Exponential { gamma: 0.8 }).named("own"),
];

/// Dispatches a step, and all variables after some.
fn steps(
    device: &Device,
    optimizer: Box<dyn Optimizer>,
    change: fn(Minimize) -> Minimize,
) -> (usize, Vec<(String, TensorData)>) {
    let g = Graph::new();
    let model = Sequential::new([5]).dense(16).tanh().dense(16).tanh().dense(3);
    let loss = model.forward(&g, &g.input("x", [8, 5], F32), Mode::Training).mse(&g.input("y", [8, 3], F32));
    let mut session = change(g.minimize(&loss, optimizer)).seed(4).compile(device).unwrap();
    for step in 0..7 {
        session.step(&[("x", &numbers(step, &[8, 5])), ("y", &numbers(step + 50, &[8, 3]))]).unwrap();
    }
    (session.program().dispatches(), variables(&session))
}

#[test]
fn optimizers_are_what_ours_are() {
    let decays = [Decay::NONE, Decay { l2: 0.01, l1: 0.001, decoupled: 0.1 }];
    for device in devices() {
        for change in CHANGES {
            for decay in decays {
                let (learning_rate, momentum) = (0.05, 0.9);
                let own = steps(&device, Box::new(Descent { learning_rate, momentum, decay }), change);
                let sgd = SGD { decay, ..SGD::new(learning_rate).momentum(momentum) };
                assert_eq!(own, steps(&device, Box::new(sgd), change), "{decay:?} on {device:?}");

                let own = steps(&device, Box::new(Moments { learning_rate, decay }), change);
                let adam = Adam { decay, ..Adam::new(learning_rate) };
                assert_eq!(own, steps(&device, Box::new(adam), change), "{decay:?} on {device:?}");
            }
        }
        // One kernel for all parameters: more layers of another size cost no more updates.
        let own = steps(&device, Box::new(Moments { learning_rate: 0.05, decay: Decay::NONE }), CHANGES[0]);
        assert!(own.0 <= 13, "{} dispatches on {device:?}", own.0);
    }
}

#[test]
fn an_optimizer_is_resumed_with_its_states() {
    let (train, _) = data(40, &[5]);
    for device in devices() {
        let directory = tempfile::tempdir().unwrap();
        let run = |epochs, checkpoints: Option<Checkpoints>| {
            let model = Sequential::new([5]).dense(8).tanh().dense(3);
            let optimizer = Moments { learning_rate: 0.02, decay: Decay::l2(0.01) };
            let mut trainer = model.compile(&device, optimizer, CrossEntropy, []).unwrap().seed(2);
            let mut fit = Fit::epochs(epochs).batch_size(16);
            if let Some(checkpoints) = checkpoints {
                fit = fit.checkpoints(checkpoints);
            }
            trainer.fit(&train, fit).unwrap();
            variables(trainer.session().unwrap())
        };
        let checkpoints = || Some(Checkpoints::new(directory.path()).resume(true));
        let whole = run(5, None);
        assert!(whole.iter().any(|(name, _)| name == "0.weight.exp_avg_sq"), "{device:?}");
        run(2, checkpoints());
        assert_eq!(run(5, checkpoints()), whole, "{device:?}");
    }
}

#[test]
fn what_is_wrong_with_an_optimizer_is_told_with_the_line() {
    let g = Graph::new();
    let loss = nn::Linear::new(&g, "fc", 2, 1).forward(&g.input("x", [4, 2], F32)).mean_all();
    let wrong = Descent { learning_rate: 0.1, momentum: 2.0, decay: Decay::NONE };
    let line = line!() + 1;
    g.minimize(&loss, wrong).build();
    assert_eq!(g.error().unwrap().to_string(), format!("minimize: momentum is 2 (at {}:{line})", file!()));
}

/// The mean squared error, with a rule for targets.
struct Distance;

impl Loss for Distance {
    fn name(&self) -> &str {
        "distance"
    }

    fn forward(&self, prediction: &Tensor, target: &Tensor) -> Tensor {
        (prediction - &aligned(prediction, target)).square().mean_all()
    }

    fn check_targets(&self, _: &Shape, targets: &TensorData) -> Result<()> {
        match targets.to_f64_vec().iter().position(|value| value.abs() > 100.0) {
            Some(index) => Err(Error::Data(format!("target number {index} is too far away"))),
            None => Ok(()),
        }
    }
}

#[test]
fn losses_are_what_ours_are() {
    let (_, train) = data(45, &[5]);
    for device in devices() {
        let run = |loss: Arc<dyn Loss>| {
            let model = Sequential::new([5]).dense(8).tanh().dense(3);
            let mut trainer = model.compile(&device, SGD::new(0.1), loss, []).unwrap().seed(1);
            let history = trainer.fit(&train, Fit::epochs(3).batch_size(16).validate(&train)).unwrap();
            let losses: Vec<(f64, Option<f64>)> =
                history.epochs.iter().map(|record| (record.train_loss, record.validation("loss"))).collect();
            (losses, variables(trainer.session().unwrap()))
        };
        let ours = run(Arc::new(Mse));
        assert_eq!(run(Arc::new(Distance)), ours, "{device:?}");
        let closure = |x: &Tensor, y: &Tensor| (x - y).square().mean_all();
        assert_eq!(run(Arc::new(closure)), ours, "{device:?}");

        let far = Dataset::new([
            ("x", numbers(1, &[3, 5])),
            ("y", TensorData::from_vec(vec![0.0_f32, 1e3, 0.0], [3, 1]).unwrap()),
        ]);
        let mut trainer = Sequential::new([5]).dense(1).compile(&device, SGD::new(0.1), Distance, []).unwrap();
        let error = trainer.fit(&far.unwrap(), Fit::epochs(1).batch_size(2)).unwrap_err().to_string();
        assert_eq!(error, "target number 1 is too far away");
    }
    // What is wrong in a loss is in its lines.
    let (wrong, line) = (loss::custom(|x, y| (x + &y.cast(F32)).mean_all()), line!());
    let (labels, _) = data(4, &[5]);
    let mut trainer = Sequential::new([5]).dense(3).compile(&Device::cpu(), SGD::new(0.1), wrong, []).unwrap();
    let error = trainer.evaluate(&labels).unwrap_err().to_string();
    assert_eq!(error, format!("add: shapes [4, 3] and [4] do not broadcast (at {}:{line})", file!()));

    let g = Graph::new();
    let x = g.input("x", [3], F32);
    let (_, line) = (Distance.reduced(&x, &x, loss::Reduction::Sum), line!());
    let expected = "distance loss: gives one number, and has no reduction \"sum\"";
    assert_eq!(g.error().unwrap().to_string(), format!("{expected} (at {}:{line})", file!()));
}

/// The accuracy, counted on the device.
#[derive(Debug)]
struct Right;

impl Metric for Right {
    fn name(&self) -> String {
        "right".into()
    }

    fn measure(&self, _: Reading) -> Measure<'_> {
        Measure::Sums(self)
    }
}

impl Sums for Right {
    fn sums(&self, batch: &Batch<'_>) -> Vec<Tensor> {
        let labels = labels(batch.prediction(), batch.target());
        let right = batch.prediction().argmax(-1).eq(&labels).cast(F32);
        let counted = batch.counted();
        vec![(right * &counted).sum_all(), counted.sum_all()]
    }

    fn result(&self, sums: &[f64]) -> Option<f64> {
        (sums[1] > 0.0).then(|| sums[0] / sums[1])
    }
}

/// Something of more than one number a batch: the mean prediction of each class, and the largest of those.
#[derive(Debug)]
struct LargestMean;

impl Metric for LargestMean {
    fn name(&self) -> String {
        "largest_mean".into()
    }

    fn measure(&self, _: Reading) -> Measure<'_> {
        Measure::Sums(self)
    }
}

impl Sums for LargestMean {
    fn sums(&self, batch: &Batch<'_>) -> Vec<Tensor> {
        let ones = batch.prediction().slice(1, 0, 1).ones_like().cast(I32);
        vec![ones.sum_all(), batch.prediction().sum([0])]
    }

    fn result(&self, sums: &[f64]) -> Option<f64> {
        sums[1..].iter().map(|sum| sum / sums[0]).reduce(f64::max)
    }
}

#[test]
fn metrics_are_what_ours_are() {
    let (test, _) = data(47, &[5]);
    let mut y = test.column("y").unwrap().to_vec::<i32>().unwrap();
    y.iter_mut().step_by(5).for_each(|label| *label = -100);
    let ignored =
        Dataset::new([("x", test.column("x").unwrap().clone()), ("y", TensorData::from_vec(y, [47]).unwrap())]);
    let ignoring = CrossEntropyOptions { ignore_index: Some(-100), ..CrossEntropyOptions::default() };
    let cases: [(Arc<dyn Loss>, Dataset); 2] =
        [(Arc::new(CrossEntropy), test), (Arc::new(CrossEntropyWith(ignoring)), ignored.unwrap())];
    for device in devices() {
        for (loss, test) in &cases {
            // The last batch is smaller than the others; or there is one batch alone.
            for batch in [4, 10, 46, 47] {
                let model = || Sequential::new([5]).dense(3);
                let metrics = (Right, Accuracy, Perplexity, LargestMean);
                let mut trainer =
                    model().compile(&device, SGD::new(0.1), loss.clone(), metrics).unwrap().evaluation_batch(batch);
                let found = trainer.evaluate(test).unwrap();
                let names: Vec<&str> = found.metrics.iter().map(|(name, _)| name.as_str()).collect();
                assert_eq!(names, ["right", "accuracy", "perplexity", "largest_mean"]);
                assert_eq!(found.metric("right"), found.metric("accuracy"), "{device:?} {batch}");
                assert_eq!(found.metric("perplexity"), Some(found.loss.exp()));
                let predictions = found.predictions.to_f64_vec();
                let means = (0..3).map(|class| predictions.iter().skip(class).step_by(3).sum::<f64>() / 47.0);
                let largest = means.fold(f64::NEG_INFINITY, f64::max);
                assert!((found.metric("largest_mean").unwrap() - largest).abs() < 1e-5, "{device:?} {batch}");

                // Where none needs the predictions, they stay on the device.
                let metrics: Vec<Box<dyn Metric>> = vec![Box::new(Right), Box::new(Perplexity)];
                let mut trainer =
                    model().compile(&device, SGD::new(0.1), loss.clone(), metrics).unwrap().evaluation_batch(batch);
                let without = trainer.evaluate(test).unwrap();
                assert_eq!((without.metric("right"), without.predictions.len()), (found.metric("right"), 0));
                let mut trainer = model().compile(&device, SGD::new(0.1), loss.clone(), []).unwrap();
                assert_eq!(trainer.evaluate(test).unwrap().predictions, found.predictions);
            }
        }
    }
    assert!(!BuiltIn::Mae.higher_is_better() && Metric::higher_is_better(&Right));
}

#[test]
fn what_is_wrong_with_a_metric_is_told_with_the_line() {
    #[derive(Debug)]
    struct Wrong;
    impl Metric for Wrong {
        fn name(&self) -> String {
            "wrong".into()
        }
        fn measure(&self, _: Reading) -> Measure<'_> {
            Measure::Sums(self)
        }
    }
    const LINE: u32 = line!() + 3;
    impl Sums for Wrong {
        fn sums(&self, batch: &Batch<'_>) -> Vec<Tensor> {
            vec![batch.prediction() + &batch.target().cast(F32)]
        }
        fn result(&self, _: &[f64]) -> Option<f64> {
            None
        }
    }
    let (test, _) = data(4, &[5]);
    let mut trainer =
        Sequential::new([5]).dense(3).compile(&Device::cpu(), SGD::new(0.1), CrossEntropy, Wrong).unwrap();
    let error = trainer.evaluate(&test).unwrap_err().to_string();
    assert!(error.starts_with("add: ") && error.contains(&format!("(at {}:{LINE}", file!())), "{error}");
}

/// As the exponential, and it may go down when a metric does not.
#[derive(Debug)]
struct Falling {
    gamma: f64,
    observes: bool,
}

impl Schedule for Falling {
    fn learning_rate(&self, base: f64, step: u64) -> f64 {
        base * self.gamma.powf(step as f64)
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.gamma <= 1.0 { Ok(()) } else { Err(format!("gamma is {}, and should let the rate fall", self.gamma)) }
    }

    fn observes(&self) -> bool {
        self.observes
    }

    fn observe(&self, memory: &mut Memory, metric: f64) {
        if self.observes {
            memory.rate *= if memory.best.is_some_and(|best| metric >= best) { 0.5 } else { 0.9 };
            memory.best = Some(memory.best.map_or(metric, |best| best.min(metric)));
        }
    }
}

#[test]
fn schedules_are_what_ours_are() {
    let (train, _) = data(32, &[5]);
    let run = |device: &Device, schedule: Arc<dyn Schedule>, epochs, checkpoints: Option<Checkpoints>| {
        let model = Sequential::new([5]).dense(3);
        let mut trainer = model.compile(device, SGD::new(0.1), CrossEntropy, []).unwrap().seed(1);
        let mut rates = Vec::new();
        let mut note = |event: &Event| {
            if let Event::Step { learning_rate, .. } = event {
                rates.push(*learning_rate);
            }
            Ok(Control::Continue)
        };
        let mut fit = Fit::epochs(epochs).batch_size(8).schedule(schedule).callback(&mut note);
        if let Some(checkpoints) = checkpoints {
            fit = fit.checkpoints(checkpoints);
        }
        trainer.fit(&train, fit).map(|_| (rates, variables(trainer.session().unwrap())))
    };
    for device in devices() {
        let falling = |observes| -> Arc<dyn Schedule> { Arc::new(Falling { gamma: 0.8, observes }) };
        let ours = run(&device, Arc::new(Exponential { gamma: 0.8 }), 3, None).unwrap();
        assert_eq!(run(&device, falling(false), 3, None).unwrap(), ours, "{device:?}");
        let boxed: Box<dyn Schedule> = Box::new(Falling { gamma: 0.8, observes: false });
        let warmed = run(&device, Arc::new(boxed.warm_up(2)), 3, None).unwrap();
        assert_eq!(warmed, run(&device, Arc::new(Exponential { gamma: 0.8 }.warm_up(2)), 3, None).unwrap());

        // What it remembers of metrics is in a checkpoint.
        let directory = tempfile::tempdir().unwrap();
        let checkpoints = || Some(Checkpoints::new(directory.path()).resume(true));
        let whole = run(&device, falling(true), 4, None).unwrap();
        assert_ne!(whole.0, run(&device, falling(false), 4, None).unwrap().0, "{device:?}");
        run(&device, falling(true), 2, checkpoints()).unwrap();
        let resumed = run(&device, falling(true), 4, checkpoints()).unwrap();
        assert_eq!((&resumed.0[..], &resumed.1), (&whole.0[8..], &whole.1), "{device:?}");

        let error = run(&device, Arc::new(Falling { gamma: 2.0, observes: false }), 1, None).err().unwrap().to_string();
        assert_eq!(error, "gamma is 2, and should let the rate fall");
    }
    assert!(ReduceOnPlateau::new().warm_up(3).observes());
}
