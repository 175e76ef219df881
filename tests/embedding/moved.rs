//! A session that outlives its device, and one that says where its first NaN arose.

use super::{adapter, batch, gpus, mask, open, training, variables};
use wgrad::prelude::*;

/// Numbers that look random.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// The step of that number. Which batch it takes depends on the number alone.
fn step(session: &mut Session, number: u64, how: u64, raw: &wgpu::Device, queue: &wgpu::Queue) -> Result<()> {
    let (x, mask) = (batch(number as usize, [3, 4]), mask(number as usize));
    let inputs = [("x", &x), ("mask", &mask)];
    match how {
        0 => session.step(&inputs),
        1 => session.step_capture(&inputs, &["loss"]).map(drop),
        2 => {
            let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            session.record(&mut encoder, &inputs)?;
            queue.submit([encoder.finish()]);
            Ok(())
        }
        _ => {
            session.begin_step(&inputs)?;
            while session.is_step_in_progress() {
                let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                session.record_some(&mut encoder, std::time::Duration::from_micros(200))?;
                queue.submit([encoder.finish()]);
                raw.poll(wgpu::PollType::Poll).map_err(|error| Error::Device(error.to_string()))?;
            }
            Ok(())
        }
    }
}

const STEPS: u64 = 30;

#[test]
fn a_device_that_is_lost_at_any_moment_costs_nothing_but_time() {
    let Some(adapter) = adapter() else { return };
    let opened = || {
        let (raw, queue) = pollster::block_on(
            adapter.request_device(&wgpu::DeviceDescriptor { required_limits: adapter.limits(), ..Default::default() }),
        )
        .unwrap();
        (Device::from_wgpu(&adapter, raw.clone(), queue.clone()).unwrap(), raw, queue)
    };
    let (device, mut raw, mut queue) = opened();
    let mut right = training().compile(&device).unwrap();
    (0..STEPS).for_each(|number| step(&mut right, number, 0, &raw, &queue).unwrap());
    let expected = variables(&right);
    let mut numbers = Numbers(5);
    let (mut device, mut lost, mut repeated) = (device, 0, 0);
    while lost < 100 {
        let mut session = training().compile(&device).unwrap();
        let evaluation = {
            let g = Graph::new();
            let model = Sequential::new([4]).dense(5).tanh().dropout(0.3).dense(1);
            g.output("y", &model.forward(&g, &g.input("x", [3, 4], F32), Mode::Evaluation));
            session.load(&g).unwrap()
        };
        session.keep_every(1 + numbers.below(7)).unwrap();
        while session.steps() < STEPS {
            if numbers.below(8) == 0 {
                raw.destroy();
                lost += 1;
            }
            let number = session.steps();
            match step(&mut session, number, numbers.below(4), &raw, &queue) {
                Ok(()) => {}
                Err(Error::DeviceLost(_)) => {
                    let kept = session.kept_step();
                    (device, raw, queue) = opened();
                    let from = session.move_to(&device).unwrap();
                    assert_eq!(Some(from), kept);
                    assert_eq!(session.steps(), from);
                    repeated += number - from;
                }
                Err(error) => panic!("{error}"),
            }
        }
        // What was in flight when the last step returned may be lost as well.
        if session.read("loss").is_err() {
            (device, raw, queue) = opened();
            session.move_to(&device).unwrap();
            for number in session.steps()..STEPS {
                step(&mut session, number, 0, &raw, &queue).unwrap();
            }
        }
        assert_eq!(variables(&session), expected);
        // Handles are what they were.
        let x = batch(3, [3, 4]);
        assert_eq!(session.using(&evaluation).run(&[("x", &x)]).unwrap()["y"].shape().dims(), [3, 1]);
    }
    println!("{lost} devices lost, {repeated} steps repeated");
    // Without a state that was kept, the error says what happened.
    let mut session = training().compile(&device).unwrap();
    raw.destroy();
    assert!(matches!(session.move_to(&Device::cpu()), Err(Error::DeviceLost(_))));
}

#[test]
fn a_session_moves_between_devices_that_live() {
    for device in gpus() {
        let mut session = training().compile(&Device::cpu()).unwrap();
        let inputs = [batch(1, [3, 4]), mask(1)];
        let inputs = [("x", &inputs[0]), ("mask", &inputs[1])];
        (0..5).for_each(|_| session.step(&inputs).unwrap());
        let before = variables(&session);
        assert_eq!(session.move_to(&device).unwrap(), 5);
        assert_eq!(variables(&session), before);
        session.step(&inputs).unwrap();
        assert_eq!(session.optimizers()[0].steps, 6);
        let after = variables(&session);
        assert_eq!(session.move_to(&Device::cpu()).unwrap(), 6);
        assert_eq!(variables(&session), after);
        session.step(&inputs).unwrap();
        assert!(session.read("loss").is_ok());
    }
}

#[test]
fn data_and_what_the_host_sets_are_kept_too() {
    let Some(adapter) = adapter() else { return };
    let (raw, device) = open(&adapter, adapter.limits());
    let g = Graph::new();
    let data = g.variable(wgrad::ops::Variable {
        name: "data".into(),
        ty: wgrad::tensor::TensorType::new(F32, [10, 4]),
        role: wgrad::ops::Role::Data,
        initial: wgrad::ops::Initial::Constant(0.0),
    });
    let rows = data.take(0, &g.input("index", [3], I32));
    let loss = nn::Linear::new(&g, "fc", 4, 1).forward(&rows).square().mean_all();
    g.minimize(&loss, Adam::new(0.1)).build();
    let mut session = g.compile(&device).unwrap();
    session.keep_every(100).unwrap();
    session.set_parameter("data", &batch(4, [10, 4])).unwrap();
    session.set_parameter("fc.bias", &TensorData::from_vec(vec![0.5_f32], [1]).unwrap()).unwrap();
    let index = TensorData::from_vec(vec![1, 2, 9], [3]).unwrap();
    let steps = |session: &mut Session, until: u64| {
        while session.steps() < until {
            session.step(&[("index", &index)]).unwrap();
        }
    };
    let mut right = g.compile(&Device::cpu()).unwrap();
    right.set_parameter("data", &batch(4, [10, 4])).unwrap();
    right.set_parameter("fc.bias", &TensorData::from_vec(vec![0.5_f32], [1]).unwrap()).unwrap();
    steps(&mut right, 6);
    steps(&mut session, 3);
    session.device().wait_idle().unwrap();
    assert_eq!(session.kept_step(), Some(0));
    raw.destroy();
    assert!(session.step(&[("index", &index)]).is_err());
    session.move_to(&Device::cpu()).unwrap();
    steps(&mut session, 6);
    for name in ["data", "fc.weight", "fc.bias"] {
        let (found, expected) = (session.parameter(name).unwrap(), right.parameter(name).unwrap());
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn the_first_nan_or_infinity_is_found_where_it_arose() {
    for device in gpus().into_iter().chain([Device::cpu()]) {
        let build = |wrong: &str| {
            let g = Graph::new();
            let x = g.input("x", [2, 3], F32);
            let hidden = nn::Linear::new(&g, "fc", 3, 3).forward(&x);
            // An infinity that is meant, as masks have them, and that softmax takes away.
            let masked = hidden.masked_fill(&g.input("hide", [2, 3], Bool), f64::NEG_INFINITY).softmax(-1);
            let value = match wrong {
                "log" => (masked - 1.0).log(),
                "exp" => (masked * 1000.0).exp(),
                "sqrt" => (masked.sum([1]) - 2.0).sqrt().unsqueeze(1),
                _ => masked,
            };
            g.minimize(&value.square().mean_all(), SGD::new(0.1)).build();
            g
        };
        let x = TensorData::from_vec(vec![0.5_f32, -1.0, 2.0, 1.0, 0.25, -0.5], [2, 3]).unwrap();
        let hide = TensorData::from_f64(Bool, &[0.0, 1.0, 0.0, 0.0, 0.0, 1.0], [2, 3]).unwrap();
        for (wrong, message) in
            [("log", "log: the first NaN"), ("exp", "exp: the first infinity"), ("sqrt", "sqrt: the first NaN")]
        {
            let mut session = build(wrong).compile(&device).unwrap();
            session.watch_non_finite(true).unwrap();
            session.step(&[("x", &x), ("hide", &hide)]).unwrap();
            let error = session.read("loss").unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with(message) && text.contains("moved.rs"), "{device:?}: {text}");
            assert!(matches!(error, Error::Graph { .. }));
        }
        // Nothing wrong, nothing told; and what is learned is the same.
        let (mut session, mut right) = (build("").compile(&device).unwrap(), build("").compile(&device).unwrap());
        session.watch_non_finite(true).unwrap();
        for _ in 0..6 {
            session.step(&[("x", &x), ("hide", &hide)]).unwrap();
            right.step(&[("x", &x), ("hide", &hide)]).unwrap();
        }
        let close = |a: TensorData, b: TensorData| (a.item().unwrap() - b.item().unwrap()).abs() < 1e-6;
        assert!(close(session.read("loss").unwrap(), right.read("loss").unwrap()));
        // A NaN that is put in is the input's.
        let mut bad = x.to_vec::<f32>().unwrap();
        bad[4] = f32::NAN;
        let bad = TensorData::from_vec(bad, [2, 3]).unwrap();
        let error = session.run(&[("x", &bad), ("hide", &hide)]).unwrap_err().to_string();
        assert!(error.starts_with("input \"x\": the first NaN"), "{error}");
        session.watch_non_finite(false).unwrap();
        assert!(session.run(&[("x", &bad), ("hide", &hide)]).is_ok());
    }
}

#[test]
fn a_layer_is_named_with_its_nan() {
    let model = |g: &Graph, x: &Tensor, _: Mode| {
        let hidden = nn::Linear::new(g, "first", 4, 4).forward(x).tanh() * 3e38;
        nn::Linear::new(g, "second", 4, 4).forward(&(hidden.square() + 3e38)).tanh()
    };
    let data = wgrad::data::Dataset::new([("x", batch(1, [8, 4])), ("y", batch(2, [8, 4]))]).unwrap();
    let mut trainer = Trainer::new(model, &Device::cpu(), Adam::new(0.1), wgrad::loss::Mse, []).watch_non_finite();
    let error = trainer.fit(&data, Fit::epochs(1).batch_size(4)).unwrap_err().to_string();
    assert!(error.starts_with("square: the first infinity") && error.contains("moved.rs"), "{error}");
    let model = |g: &Graph, x: &Tensor, _: Mode| {
        nn::Linear::new(g, "second", 4, 4)
            .forward(&(nn::Linear::new(g, "first", 4, 4).forward(x).tanh() * 0.0 + 3e38))
            .tanh()
    };
    let mut trainer = Trainer::new(model, &Device::cpu(), Adam::new(0.1), wgrad::loss::Mse, []).watch_non_finite();
    trainer.predict(data.column("x").unwrap()).unwrap();
    let weight = TensorData::from_vec(vec![2.0_f32; 16], [4, 4]).unwrap();
    trainer.session_mut().unwrap().set_parameter("second.weight", &weight).unwrap();
    let error = trainer.predict(data.column("x").unwrap()).unwrap_err().to_string();
    assert!(error.contains("the first infinity") && error.contains("in second"), "{error}");
}

#[test]
fn a_recording_that_is_dropped_does_not_end_what_is_kept() {
    let Some(adapter) = adapter() else { return };
    let (raw, device) = open(&adapter, adapter.limits());
    let queue = device.as_gpu().unwrap().wgpu_queue().clone();
    let mut session = training().compile(&device).unwrap();
    session.keep_every(1).unwrap();
    let inputs = [batch(1, [3, 4]), mask(1)];
    let inputs = [("x", &inputs[0]), ("mask", &inputs[1])];
    session.step(&inputs).unwrap();
    device.wait_idle().unwrap();
    // The state after one step would be read by what is dropped.
    let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    session.record(&mut encoder, &inputs).unwrap();
    drop(encoder.finish());
    assert_eq!(session.kept_step(), Some(0));
    for number in 1..4 {
        step(&mut session, number, 2, &raw, &queue).unwrap();
        device.wait_idle().unwrap();
    }
    assert_eq!(session.kept_step(), Some(3));
    raw.destroy();
    assert_eq!(session.move_to(&Device::cpu()).unwrap(), 3);
}
