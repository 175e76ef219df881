//! A convolutional network as a whole: its plan, and that a GPU learns what the CPU does.

mod support;

use support::devices::devices;
use wgrad::prelude::*;
use wgrad::scalar::threefry::HostRandom;

const BATCH: usize = 8;

/// The textbook's network, for 3 × 32 × 32 pixels.
fn textbook() -> Sequential {
    Sequential::new([3, 32, 32])
        .conv2d(32, 3)
        .padding(1)
        .relu()
        .max_pool2d(2)
        .conv2d(64, 3)
        .padding(1)
        .relu()
        .max_pool2d(2)
        .flatten()
        .dense(128)
        .relu()
        .dense(10)
}

fn training(device: &Device, batch: usize) -> Result<Session> {
    let g = Graph::new();
    let (x, y) = (g.input("x", [batch, 3, 32, 32], F32), g.input("y", [batch], I32));
    let logits = textbook().forward(&g, &x, Mode::Training);
    g.minimize(&logits.cross_entropy(&y), SGD::new(0.02).momentum(0.9)).seed(3).compile(device)
}

#[test]
fn the_textbook_network_takes_few_dispatches_and_no_columns() -> Result<()> {
    devices().iter().try_for_each(|device| {
        let session = training(device, 64)?;
        let program = session.program();
        assert!(program.dispatches() <= 40, "{} dispatches: {program}", program.dispatches());
        // The columns of the second convolution would take 32 · 9 numbers for each of 64 · 16 · 16 pixels; the largest value is the
        // result of the first one.
        let largest = program.buffers.iter().map(|buffer| buffer.bytes).max().unwrap_or(0);
        assert!(largest <= 4 * 64 * 32 * 32 * 32, "{largest} bytes");
        // Bias and activation are stored with the convolution that they follow.
        let fused = program.steps.iter().filter(|step| step.label.starts_with("convolution+")).count();
        assert_eq!(fused, 2, "{program}");
        Ok(())
    })
}

#[test]
fn every_device_learns_the_same() -> Result<()> {
    let mut random = HostRandom::new(11);
    let mut losses: Vec<Vec<f64>> = Vec::new();
    // Ten kinds of picture, each a pattern with noise.
    let batches: Vec<(TensorData, TensorData)> = (0..30)
        .map(|step: usize| {
            let labels: Vec<i32> = (0..BATCH).map(|example| ((step * 7 + example * 3) % 10) as i32).collect();
            let pixels: Vec<f32> = (0..BATCH * 3 * 1024)
                .map(|index| {
                    let (example, pixel) = (index / 3072, index % 1024);
                    let phase = labels[example] as f64 * 0.6;
                    let wave = ((pixel % 32) as f64 * 0.4 + phase).sin() * ((pixel / 32) as f64 * 0.3 - phase).cos();
                    (wave + 0.3 * random.normal()) as f32
                })
                .collect();
            Ok((TensorData::from_vec(pixels, [BATCH, 3, 32, 32])?, TensorData::from_vec(labels, [BATCH])?))
        })
        .collect::<Result<_>>()?;
    for device in devices() {
        let mut session = training(&device, BATCH)?;
        let mut own = Vec::new();
        for (x, y) in &batches {
            session.step(&[("x", x), ("y", y)])?;
            own.push(session.read("loss")?.item()?);
        }
        losses.push(own);
    }
    for (step, &loss) in losses[0].iter().enumerate() {
        for other in &losses[1..] {
            assert!((other[step] - loss).abs() <= 1e-3 * loss, "step {step}: {losses:?}");
        }
    }
    let least = losses[0].iter().copied().fold(f64::MAX, f64::min);
    assert!(least < 0.7 * losses[0][0], "nothing was learned: {:?}", losses[0]);
    Ok(())
}
