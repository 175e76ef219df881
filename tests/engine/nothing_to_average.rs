//! Means with nothing to average, as PyTorch has them: the loss is NaN, the gradients are 0, and training continues.

use wgrad::data::Dataset;
use wgrad::graph::Graph;
use wgrad::loss::{CrossEntropyOptions, CrossEntropyWith, KlDiv, Loss, Mse, Reduction};
use wgrad::ops::{Initial, Variable};
use wgrad::optim::Optimizer;
use wgrad::prelude::*;
use wgrad::tensor::TensorType;

use super::support::devices::devices;

/// PyTorch's losses (f64): SGD 0.1 with momentum 0.9; every fourth batch is ignored as a whole, and others in parts.
const PLAIN: [f64; 50] = [
    1.271013, NAN, 1.250961, 1.084582, 1.187880, NAN, 0.863558, NAN, 1.231902, NAN, 1.307675, 1.255072, 0.958960, NAN,
    0.859848, 1.121013, 1.294559, NAN, 0.981021, 1.343449, 1.088580, NAN, 0.968380, 1.231177, 1.179109, NAN, 0.956599,
    NAN, 1.069374, NAN, 1.080685, 1.128855, 1.081621, NAN, 0.791906, 1.217595, 1.291816, NAN, 0.934652, 1.382266,
    1.117397, NAN, 0.980974, 1.236065, 1.131946, NAN, 0.976637, NAN, 1.051716, NAN,
];
/// Adam 0.02, label smoothing 0.1.
const SMOOTH: [f64; 50] = [
    1.264005, NAN, 1.197337, 1.107068, 1.110308, NAN, 0.942902, NAN, 1.139270, NAN, 1.100359, 1.173641, 1.027617, NAN,
    0.995889, 1.084443, 1.153473, NAN, 0.945625, 1.231571, 1.106429, NAN, 1.086278, 1.194525, 1.047554, NAN, 0.957495,
    NAN, 1.145707, NAN, 0.969856, 1.225404, 1.092824, NAN, 1.020890, 1.173058, 1.081233, NAN, 0.960243, 1.187661,
    1.123356, NAN, 0.977023, 1.207722, 1.097027, NAN, 1.000091, NAN, 1.083571, NAN,
];
/// Adam 0.02, class weights 1, ½ and 0: where all labels that count have the weight 0, gradients are 0 as well.
const WEIGHTED: [f64; 50] = [
    1.264675, NAN, 1.314875, 1.103851, 1.118027, NAN, 0.930344, NAN, 0.977658, NAN, 0.939450, 1.014089, 0.962457, NAN,
    0.878923, 0.964838, 0.990901, NAN, 0.883750, 0.966021, 0.823629, NAN, 0.613305, 0.970869, 0.883389, NAN, 0.756227,
    NAN, 0.897771, NAN, 0.813651, 0.863507, 0.781135, NAN, 0.490331, 0.965501, 0.824388, NAN, 0.760841, 0.870256,
    0.829480, NAN, 0.745800, 0.770376, 0.769664, NAN, 0.439133, NAN, 0.789276, NAN,
];
const NAN: f64 = f64::NAN;

fn waves(shape: &[usize], step: f64, start: f64, scale: f64) -> TensorData {
    let values: Vec<f64> =
        (0..shape.iter().product::<usize>()).map(|k| (step * k as f64 + start).sin() * scale).collect();
    TensorData::from_f64(F32, &values, shape).unwrap()
}

fn labels(step: i32, weighted: bool) -> TensorData {
    let label = |example: i32| match step {
        _ if step % 10 == 7 && weighted => 2,
        _ if step % 10 == 7 || step % 4 == 1 || (step % 4 == 2 && example % 2 == 0) => -100,
        _ => (example * example + step) % 3,
    };
    TensorData::from_vec((0..8).map(label).collect::<Vec<i32>>(), [8]).unwrap()
}

fn losses(device: &Device, options: &CrossEntropyOptions, optimizer: impl Optimizer + 'static) -> Vec<f64> {
    let g = Graph::new();
    let (x, y) = (g.input("x", [8, 4], F32), g.input("y", [8], I32));
    let parameter = |name: &str, shape: &[usize], values: TensorData| {
        g.variable(Variable::parameter(name, TensorType::new(F32, shape), Initial::Values(values)))
    };
    let first = parameter("w1", &[5, 4], waves(&[5, 4], 1.3, 0.1, 0.5));
    let bias = parameter("b1", &[5], waves(&[5], 0.9, 0.2, 0.1));
    let second = parameter("w2", &[3, 5], waves(&[3, 5], 1.7, 0.3, 0.5));
    let offset = parameter("b2", &[3], waves(&[3], 0.8, 0.4, 0.1));
    let hidden = (x.matmul(&first.transpose(0, 1)) + bias).tanh();
    let loss = (hidden.matmul(&second.transpose(0, 1)) + offset).cross_entropy_with(&y, options);
    g.output("loss", &loss);
    let mut session = g.minimize(&loss, optimizer).compile(device).unwrap();
    (0..50)
        .map(|step| {
            let x = waves(&[8, 4], 0.7, f64::from(step) * 1.1, 1.0);
            let weighted = options.class_weights.is_some();
            session.step(&[("x", &x), ("y", &labels(step, weighted))]).unwrap();
            session.read("loss").unwrap().item().unwrap()
        })
        .collect()
}

#[test]
fn training_goes_through_batches_in_which_nothing_counts() {
    let options = |smoothing: f64, weights: Option<Vec<f64>>| CrossEntropyOptions {
        ignore_index: Some(-100),
        label_smoothing: smoothing,
        class_weights: weights,
        class_axis: 1,
    };
    for device in devices() {
        let found = [
            losses(&device, &options(0.0, None), SGD::new(0.1).momentum(0.9)),
            losses(&device, &options(0.1, None), Adam::new(0.02)),
            losses(&device, &options(0.0, Some(vec![1.0, 0.5, 0.0])), Adam::new(0.02)),
        ];
        for (found, right) in found.iter().zip([PLAIN, SMOOTH, WEIGHTED]) {
            for (step, (found, right)) in found.iter().zip(right).enumerate() {
                let same = (found - right).abs() <= 1e-4 || (found.is_nan() && right.is_nan());
                assert!(same, "the loss of step {step} is {found}, not {right}, on {device:?}");
            }
        }
    }
}

/// A function of x, its value, and its gradient, each the same everywhere.
type Case<'a> = (&'a str, &'a [usize], fn(&Tensor) -> Tensor, f64, f64);

#[test]
fn means_of_nothing_are_pytorchs() {
    fn ignored(x: &Tensor, weights: Option<Vec<f64>>, smoothing: f64, reduction: Reduction) -> Tensor {
        let label = if weights.is_some() { 1.0 } else { -100.0 };
        let labels = x.graph().scalar(I32, label).broadcast_to([x.shape()[0]]);
        let options = CrossEntropyOptions {
            class_weights: weights,
            label_smoothing: smoothing,
            ignore_index: Some(-100),
            class_axis: 1,
        };
        CrossEntropyWith(options).reduced(x, &labels, reduction)
    }
    let none: &[usize] = &[0, 3];
    let cases: &[Case<'_>] = &[
        ("mean over an empty axis", none, |x| x.mean([0]), NAN, 0.0),
        ("mean of nothing", none, Tensor::mean_all, NAN, 0.0),
        ("variance of nothing", none, |x| x.variance([0], 0), NAN, 0.0),
        ("sum of nothing", none, |x| x.sum([0]), 0.0, 0.0),
        ("product of nothing", none, |x| x.product([0]), 1.0, 0.0),
        ("log_sum_exp of nothing", none, |x| x.log_sum_exp([0]), f64::NEG_INFINITY, 0.0),
        ("sample variance of one", &[1, 3], |x| x.variance([0], 1), NAN, NAN),
        ("variance of one", &[1, 3], |x| x.variance([0], 0), 0.0, 0.0),
        ("mse of nothing", none, |x| x.mse(&x.zeros_like()), NAN, 0.0),
        ("its sum", none, |x| Mse.reduced(x, &x.zeros_like(), Reduction::Sum), 0.0, 0.0),
        ("binary cross-entropy of nothing", none, |x| x.binary_cross_entropy(&x.zeros_like()), NAN, 0.0),
        ("divergence of nothing", none, |x| KlDiv.reduced(x, &x.zeros_like(), Reduction::BatchMean), NAN, 0.0),
        ("cross-entropy of nothing", none, |x| ignored(x, None, 0.0, Reduction::Mean), NAN, 0.0),
        ("cross-entropy of ignored labels", &[4, 3], |x| ignored(x, None, 0.0, Reduction::Mean), NAN, 0.0),
        ("smoothed, of ignored labels", &[4, 3], |x| ignored(x, None, 0.2, Reduction::Mean), NAN, 0.0),
        ("their sum", &[4, 3], |x| ignored(x, None, 0.2, Reduction::Sum), 0.0, 0.0),
        ("each", &[4, 3], |x| ignored(x, None, 0.2, Reduction::None), 0.0, 0.0),
        ("of weight 0", &[4, 3], |x| ignored(x, Some(vec![1.0, 0.0, 2.0]), 0.0, Reduction::Mean), NAN, 0.0),
        ("all of weight 0", &[4, 3], |x| ignored(x, Some(vec![0.0; 3]), 0.2, Reduction::Mean), NAN, 0.0),
        ("their sum", &[4, 3], |x| ignored(x, Some(vec![0.0; 3]), 0.2, Reduction::Sum), 0.0, 0.0),
        // What a mask leaves out gets no gradient, whatever comes from above.
        ("masked, before a division by 0", &[4, 3], |x| x.gt(9.0).select(x, 0.0).sum_all() / 0.0, NAN, 0.0),
        ("relu before it", &[4, 3], |x| (x - 5.0).relu().sum_all() / 0.0, NAN, 0.0),
    ];
    for device in devices() {
        for &(name, shape, build, value, slope) in cases {
            let g = Graph::new();
            let x = g.input("x", shape, F32);
            let y = build(&x);
            g.output("y", &y);
            g.output("gradient", &g.gradients(&y.sum_all(), &[&x])[0]);
            let x = waves(shape, 0.7, 0.3, 2.0);
            let mut session = g.compile(&device).unwrap();
            let inputs: Vec<(&str, &TensorData)> = session.program().inputs.iter().map(|_| ("x", &x)).collect();
            let found = session.run(&inputs).unwrap();
            let all = |output: &str, right: f64| {
                found[output].to_f64_vec().iter().all(|&value| value == right || (value.is_nan() && right.is_nan()))
            };
            assert!(all("y", value), "{name}: {:?}, not {value}, on {device:?}", found["y"]);
            assert!(all("gradient", slope), "gradient of {name}: {:?}, not {slope}, on {device:?}", found["gradient"]);
        }
    }
}

#[test]
fn a_trainer_goes_through_them_too() {
    // The second batch is ignored as a whole.
    let labels = [0, 1, 1, -100, -100, -100, 1, 0, -100];
    let data = Dataset::new([
        ("x", waves(&[9, 4], 0.7, 0.2, 1.0)),
        ("y", TensorData::from_vec(labels.to_vec(), [9]).unwrap()),
    ])
    .unwrap();
    let options = CrossEntropyOptions { ignore_index: Some(-100), ..CrossEntropyOptions::default() };
    for device in devices() {
        let model = Sequential::new([4]).dense(2);
        let loss = CrossEntropyWith(options.clone());
        let mut trainer = model.compile(&device, Adam::new(0.1), loss, []).unwrap();
        let history = trainer.fit(&data, Fit::epochs(20).batch_size(3).shuffle(false)).unwrap();
        let losses: Vec<f64> = history.epochs.iter().map(|epoch| epoch.train_loss).collect();
        assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?} on {device:?}");
        assert!(losses[19] < losses[0], "{losses:?} on {device:?}");
    }
}
