//! A device that goes away in the middle of training, as when a driver is updated or a laptop changes its graphics card: the session moves
//! to a new one, and ends with the same weights, bit for bit, as one that was not disturbed. Run it with
//! `cargo run --release --example device_lost`.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use wgrad::prelude::*;
use wgrad::wgpu;

type Outcome<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The application's device, and wgrad's handle of it.
fn open(adapter: &wgpu::Adapter) -> Outcome<(wgpu::Device, Device)> {
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default()))?;
    Ok((device.clone(), Device::from_wgpu(adapter, device, queue)?))
}

/// Which of two is larger? With dropout, whose random numbers have to be the same again, too.
fn training() -> Graph {
    let g = Graph::new();
    let (x, y) = (g.input("x", [32, 2], F32), g.input("y", [32, 1], F32));
    let model = Sequential::new([2]).dense(16).tanh().dropout(0.2).dense(1);
    let loss = model.forward(&g, &x, Mode::Training).binary_cross_entropy_with_logits(&y);
    g.minimize(&loss, Adam::new(0.01)).build();
    g
}

/// The step of that number. Its batch depends on the number alone, so that a step that was lost can be done again.
fn step(session: &mut Session, number: u64) -> Result<()> {
    let mut random = wgrad::scalar::threefry::HostRandom::new(number);
    let x: Vec<f32> = (0..64).map(|_| random.uniform_f32()).collect();
    let y = x.chunks(2).map(|pair| f32::from(u8::from(pair[0] > pair[1]))).collect();
    session.step(&[("x", &TensorData::from_vec(x, [32, 2])?), ("y", &TensorData::from_vec(y, [32, 1])?)])
}

/// Trains while devices are lost before the steps that are listed. Returns how often it moved.
pub fn run(adapter: &wgpu::Adapter, steps: u64, lost: &[u64]) -> Outcome<usize> {
    let (_device, ours) = open(adapter)?;
    let mut undisturbed = training().compile(&ours)?;
    for number in 0..steps {
        step(&mut undisturbed, number)?;
    }

    let (mut device, ours) = open(adapter)?;
    let mut session = training().compile(&ours)?;
    session.keep_every(20)?; // the state, on the host; steps do not wait for it
    let (mut lost, mut moves) = (lost.iter().peekable(), 0);
    loop {
        if lost.next_if(|&&number| number == session.steps()).is_some() {
            device.destroy(); // what a driver does without being asked
        }
        let number = session.steps();
        // The last steps are under way when `step` returns; waiting for the device tells whether it lived to their end.
        let outcome = if number < steps { step(&mut session, number) } else { session.device().wait_idle() };
        match outcome {
            Ok(()) if number == steps => break,
            Ok(()) => {}
            Err(Error::DeviceLost(why)) => {
                let (raw, ours) = open(adapter)?;
                device = raw;
                let from = session.move_to(&ours)?;
                moves += 1;
                println!("lost before step {number} ({why}); on from step {from}");
            }
            Err(error) => return Err(error.into()),
        }
    }
    for (moved, right) in session.parameters().zip(undisturbed.parameters()) {
        if moved? != right? {
            return Err("the weights differ".into());
        }
    }
    println!("{steps} steps, {moves} devices lost, the same weights, bit for bit");
    Ok(moves)
}

fn main() -> Outcome<()> {
    let Ok(adapter) = pollster::block_on(wgpu::Instance::default().request_adapter(&Default::default())) else {
        println!("there is no GPU here, not even one in software");
        return Ok(());
    };
    run(&adapter, 500, &[33, 250, 251, 499])?;
    Ok(())
}
