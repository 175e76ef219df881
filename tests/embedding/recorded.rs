//! Steps that are recorded into an application's encoders are those that `step` makes, bit for bit.

use super::{batch, gpus, mask, of, training, variables};
use wgrad::optim::Group;
use wgrad::prelude::*;

fn encoder(device: &Device) -> wgpu::CommandEncoder {
    of(device).wgpu_device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
}

fn submit(device: &Device, encoders: impl IntoIterator<Item = wgpu::CommandEncoder>) {
    of(device).wgpu_queue().submit(encoders.into_iter().map(wgpu::CommandEncoder::finish));
}

fn record(session: &mut Session, encoder: &mut wgpu::CommandEncoder, number: usize) -> Result<()> {
    session.record(encoder, &[("x", &batch(number, [3, 4])), ("mask", &mask(number))])
}

fn stepped(device: &Device, numbers: impl IntoIterator<Item = usize>) -> Session {
    let mut session = training().compile(device).unwrap();
    for number in numbers {
        session.step(&[("x", &batch(number, [3, 4])), ("mask", &mask(number))]).unwrap();
    }
    session
}

#[test]
fn each_recording_carries_its_inputs_and_counts() {
    for device in gpus() {
        let right = stepped(&device, 0..6);
        let mut session = training().compile(&device).unwrap();
        let mut first = encoder(&device);
        record(&mut session, &mut first, 0).unwrap();
        record(&mut session, &mut first, 1).unwrap();
        let mut second = encoder(&device);
        record(&mut session, &mut second, 2).unwrap();
        // Submitted together, after all three were recorded.
        submit(&device, [first, second]);
        session.step(&[("x", &batch(3, [3, 4])), ("mask", &mask(3))]).unwrap();
        for number in 4..6 {
            let mut encoder = encoder(&device);
            record(&mut session, &mut encoder, number).unwrap();
            submit(&device, [encoder]);
        }
        assert_eq!(session.steps(), 6);
        assert_eq!(session.optimizers(), right.optimizers());
        assert_eq!(variables(&session), variables(&right));
        assert_eq!(session.read("loss").unwrap(), stepped(&device, 0..6).read("loss").unwrap());
    }
}

#[test]
fn a_recording_that_is_dropped_never_was() {
    for device in gpus() {
        let right = stepped(&device, [0, 1, 2]);
        let mut session = stepped(&device, [0]);
        let mut dropped = encoder(&device);
        record(&mut session, &mut dropped, 7).unwrap();
        record(&mut session, &mut dropped, 8).unwrap();
        assert_eq!(session.steps(), 3);
        drop(dropped.finish());
        assert_eq!((session.steps(), session.optimizers()[0].steps), (1, 1));
        let mut encoder = encoder(&device);
        record(&mut session, &mut encoder, 1).unwrap();
        submit(&device, [encoder]);
        session.step(&[("x", &batch(2, [3, 4])), ("mask", &mask(2))]).unwrap();
        assert_eq!(variables(&session), variables(&right));
        device.wait_idle().unwrap();
        assert_eq!((session.steps(), session.optimizers()[0].steps), (3, 3), "what is done stays counted");
    }
}

#[test]
fn a_recording_that_is_dropped_too_late_is_told_once() {
    for device in gpus() {
        let mut session = stepped(&device, [0]);
        let mut dropped = encoder(&device);
        record(&mut session, &mut dropped, 1).unwrap();
        session.step(&[("x", &batch(2, [3, 4])), ("mask", &mask(2))]).unwrap();
        drop(dropped);
        let error = session.step(&[("x", &batch(3, [3, 4])), ("mask", &mask(3))]).unwrap_err().to_string();
        assert!(error.contains("dropped without being submitted"), "{error}");
        assert_eq!(session.steps(), 2);
        session.step(&[("x", &batch(3, [3, 4])), ("mask", &mask(3))]).unwrap();
        assert_eq!(session.steps(), 3);
    }
}

#[test]
fn what_updates_nothing_counts_nothing_and_mistakes_are_told() {
    for device in gpus() {
        let g = Graph::new();
        g.output("y", &(g.input("x", [2], F32) * 2.0));
        let mut session = g.compile(&device).unwrap();
        let values = [1.0_f32, 3.0].map(|x| TensorData::from_vec(vec![x, x + 1.0], [2]).unwrap());
        let outputs = [(), ()].map(|()| {
            of(&device).wgpu_device().create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: 16,
                usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        });
        let mut encoder = encoder(&device);
        for (value, output) in values.iter().zip(&outputs) {
            session.bind_output("y", output.clone()).unwrap();
            session.record(&mut encoder, &[("x", value)]).unwrap();
        }
        let wrong = session.record(&mut encoder, &[("x", &TensorData::zeros(F32, [3]))]);
        assert!(wrong.unwrap_err().to_string().contains("f32[2]"));
        assert!(session.record(&mut encoder, &[]).unwrap_err().to_string().contains("not given"));
        submit(&device, [encoder]);
        let mut store = wgrad::device::gpu::GpuStore::new(of(&device));
        for (output, right) in outputs.into_iter().zip([[2.0_f32, 4.0], [6.0, 8.0]]) {
            let number = store.add_external(output).unwrap();
            assert_eq!(store.read(number, 0, 8).unwrap(), bytemuck::cast_slice::<f32, u8>(&right));
        }
        assert_eq!(session.steps(), 0);
    }
}

/// Two optimizers in one encoder: each counts its own.
#[test]
fn recordings_of_two_programs_count_for_their_optimizers() {
    for device in gpus() {
        let graph = |part: &str| {
            let g = Graph::new();
            let x = g.input("x", [3, 4], F32);
            let hidden = nn::Linear::new(&g, "a", 4, 4).forward(&x).tanh();
            let loss = nn::Linear::new(&g, "b", 4, 1).forward(&hidden).square().mean_all();
            let frozen = Group::named(if part == "a" { "b" } else { "a" }).frozen();
            g.minimize(&loss, Adam::new(if part == "a" { 0.1 } else { 0.01 })).group(frozen).build();
            g
        };
        let make = || {
            let mut session = graph("a").compile(&device).unwrap();
            let second = session.load(&graph("b")).unwrap();
            let order = [session.program(), &second, &second, session.program(), &second].map(Clone::clone);
            (session, order)
        };
        let (mut right, order) = make();
        for (number, program) in order.iter().enumerate() {
            right.using(program).step(&[("x", &batch(number, [3, 4]))]).unwrap();
        }
        let (mut session, order) = make();
        let mut encoder = encoder(&device);
        for (number, program) in order.iter().enumerate() {
            session.using(program).record(&mut encoder, &[("x", &batch(number, [3, 4]))]).unwrap();
        }
        submit(&device, [encoder]);
        assert_eq!(variables(&session), variables(&right));
        assert_eq!(session.optimizers(), right.optimizers());
        assert_eq!(session.optimizers().iter().map(|optimizer| optimizer.steps).collect::<Vec<_>>(), [2, 3]);
    }
}

/// Nothing is read of what was not submitted, and no state is saved that counts a step without having done it.
#[test]
fn what_is_not_submitted_is_not_read() {
    for device in gpus() {
        let right = stepped(&device, [0, 1]);
        let mut session = stepped(&device, [0]);
        let mut open = encoder(&device);
        record(&mut session, &mut open, 1).unwrap();
        let early = session.start_read(&["loss"]).unwrap();
        let errors = [
            session.read("loss").err(),
            session.parameter(&session.variables()[0].name).err(),
            session.state_bytes().err(),
            early.wait().err(),
        ];
        for error in errors {
            let error = error.expect("a value of another step").to_string();
            assert!(error.contains("not submitted yet"), "{error}");
        }
        submit(&device, [open]);
        let capture = session.start_read(&["loss"]).unwrap();
        assert_eq!(capture.wait().unwrap()[0], stepped(&device, [0, 1]).read("loss").unwrap());
        assert_eq!(variables(&session), variables(&right));
        // What is dropped is out of the way.
        let mut dropped = encoder(&device);
        record(&mut session, &mut dropped, 2).unwrap();
        drop(dropped);
        assert_eq!(variables(&session), variables(&right));
    }
}

#[test]
fn what_is_submitted_out_of_order_is_told() {
    for device in gpus() {
        let told = |session: &mut Session, case: &str| {
            device.wait_idle().unwrap();
            let inputs = [("x", &batch(9, [3, 4])), ("mask", &mask(9))];
            let error = session.step(&inputs).expect_err(case).to_string();
            assert!(error.contains("another order"), "{case}: {error}");
            session.step(&inputs).expect("it is told once");
        };
        let mut session = stepped(&device, [0]);
        let [mut first, mut second] = [encoder(&device), encoder(&device)];
        record(&mut session, &mut first, 1).unwrap();
        record(&mut session, &mut second, 2).unwrap();
        submit(&device, [second, first]);
        told(&mut session, "in reverse");
        let mut late = encoder(&device);
        record(&mut session, &mut late, 1).unwrap();
        session.step(&[("x", &batch(2, [3, 4])), ("mask", &mask(2))]).unwrap();
        submit(&device, [late]);
        told(&mut session, "after a step");
    }
}
