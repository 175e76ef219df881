use wgrad::prelude::*;

#[test]
fn a_linear_regression_learns() {
    let g = Graph::new();
    let x = g.input("x", [8, 3], F32);
    let y = g.input("y", [8, 1], F32);
    let w = g.variable(wgrad::ops::Variable::parameter(
        "w",
        wgrad::tensor::TensorType::new(F32, [3, 1]),
        wgrad::ops::Initial::Constant(0.1),
    ));
    let b = g.variable(wgrad::ops::Variable::parameter(
        "b",
        wgrad::tensor::TensorType::new(F32, [1]),
        wgrad::ops::Initial::Constant(0.0),
    ));
    let p = x.matmul(&w) + &b;
    let loss = (&p - &y).square().mean_all();
    g.output("loss", &loss);
    let grads = g.gradients(&loss, &[&w, &b]);
    let lr = g.host_scalar("@lr", |_| 0.1);
    g.assign(&w, &(&w - &(&grads[0] * &lr)));
    g.assign(&b, &(&b - &(&grads[1] * &lr)));
    let mut s = g.compile(&Device::cpu()).unwrap();
    println!("{}", s.stages(wgrad::session::ProgramId::FIRST).graph);
    println!("{}", s.stages(wgrad::session::ProgramId::FIRST).fused);
    println!("{}", s.stages(wgrad::session::ProgramId::FIRST).memory);
    println!("{}", s.program());
    let xs: Vec<f32> = (0..24).map(|k| ((k * 7 % 11) as f32) / 5.0 - 1.0).collect();
    let ys: Vec<f32> = xs.chunks(3).map(|r| 1.0 * r[0] - 2.0 * r[1] + 0.5 * r[2] + 0.3).collect();
    let x = TensorData::from_vec(xs, [8, 3]).unwrap();
    let y = TensorData::from_vec(ys, [8, 1]).unwrap();
    for step in 0..400 {
        s.step(&[("x", &x), ("y", &y)]).unwrap();
        if step % 50 == 0 {
            println!("{}", s.read("loss").unwrap().item().unwrap());
        }
    }
    assert!(s.read("loss").unwrap().item().unwrap() < 1e-3);
    println!("{:?} {:?}", s.parameter("w").unwrap().to_vec::<f32>(), s.parameter("b").unwrap().to_vec::<f32>());
}
