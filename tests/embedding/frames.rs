//! Training beside rendering: some of a step in each frame, within the frame's budget.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{adapter, batch, mask, training, variables};
use wgrad::prelude::*;

const BUDGET: Duration = Duration::from_millis(4);
const FRAMES: usize = 300;

/// What an application does in a frame, here a kernel that draws a picture into a buffer.
struct Renderer {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
}

impl Renderer {
    fn new(device: &wgpu::Device) -> Self {
        let source = "
            @group(0) @binding(0) var<storage, read_write> pixels: array<u32>;
            @compute @workgroup_size(64)
            fn main(@builtin(global_invocation_id) id: vec3<u32>) {
                if id.x < arrayLength(&pixels) { pixels[id.x] = pixels[id.x] * 3u + id.x; }
            }";
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("renderer"),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("renderer"),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        let pixels = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("pixels"),
            size: 4 * 128 * 128,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("renderer"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: pixels.as_entire_binding() }],
        });
        Self { pipeline, group }
    }

    fn draw(&self, encoder: &mut wgpu::CommandEncoder) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(128 * 128 / 64, 1, 1);
    }
}

/// A model's training step, and a batch for it.
struct Case {
    name: &'static str,
    graph: Graph,
    inputs: Vec<(&'static str, TensorData)>,
}

fn cases() -> Vec<Case> {
    let labels = |n: usize| TensorData::from_vec((0..n as i32).map(|k| k % 10).collect(), [n]).unwrap();
    let classifier = |name, examples, model: Sequential| {
        let g = Graph::new();
        let (x, y) = (g.input("x", [examples, 28 * 28], F32), g.input("y", [examples], I32));
        let logits = model.forward(&g, &x.reshape([examples, 1, 28, 28]), Mode::Training);
        g.minimize(&CrossEntropy.forward(&logits, &y), Adam::new(1e-3)).build();
        Case { name, graph: g, inputs: vec![("x", batch(1, [examples, 28 * 28])), ("y", labels(examples))] }
    };
    let dense = Sequential::new([1, 28, 28]).flatten().dense(128).relu().dropout(0.2).dense(10);
    let convolutional = Sequential::new([1, 28, 28]).conv2d(8, 3).batch_norm().relu().max_pool2d(2).flatten().dense(10);
    let recurrent = {
        let g = Graph::new();
        let (x, y) = (g.input("x", [16, 24], F32), g.input("y", [16], I32));
        let model = Sequential::new([24, 1]).lstm(32).dense(10);
        let logits = model.forward(&g, &x.unsqueeze(-1), Mode::Training);
        g.minimize(&CrossEntropy.forward(&logits, &y), Adam::new(1e-2)).clip_norm(1.0).build();
        Case { name: "LSTM", graph: g, inputs: vec![("x", batch(2, [16, 24])), ("y", labels(16))] }
    };
    vec![classifier("MLP", 32, dense), classifier("CNN", 8, convolutional), recurrent]
}

#[test]
fn training_goes_on_within_the_frames_budget() {
    let Some(adapter) = adapter() else { return };
    // An application that asks for nothing but, if there is one, a clock.
    let clock = adapter.features() & wgpu::Features::TIMESTAMP_QUERY;
    let descriptor = wgpu::DeviceDescriptor { required_features: clock, ..Default::default() };
    let (raw, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
    let device = Device::from_wgpu(&adapter, raw.clone(), queue.clone()).unwrap();
    let renderer = Renderer::new(&raw);
    for Case { name, graph, inputs } in cases() {
        let mut session = graph.compile(&device).unwrap();
        let mut right = graph.compile(&device).unwrap();
        let inputs: Vec<(&str, &TensorData)> = inputs.iter().map(|(name, data)| (*name, data)).collect();
        let (mut steps, mut host, mut measured) = (0, Vec::new(), Vec::new());
        // What each part took, by where in the step it begins and how much it is.
        let (mut begins, mut parts) = (0, BTreeMap::<_, Vec<Duration>>::new());
        for _ in 0..FRAMES {
            let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            renderer.draw(&mut encoder);
            let begun = Instant::now();
            if !session.is_step_in_progress() {
                session.begin_step(&inputs).unwrap();
            }
            let recorded = session.record_some(&mut encoder, BUDGET).unwrap();
            host.push(begun.elapsed());
            queue.submit([encoder.finish()]);
            steps += u64::from(recorded.is_complete);
            assert!(recorded.expected <= BUDGET || recorded.commands == 1, "{name}: {recorded:?}");
            // The next picture is shown when the device has drawn this one.
            raw.poll(wgpu::PollType::wait_indefinitely()).unwrap();
            if let Some(took) = session.latest_part().unwrap() {
                measured.push(took);
                parts.entry((begins, recorded.commands)).or_default().push(took);
            }
            begins = if recorded.is_complete { 0 } else { begins + recorded.commands };
        }
        host.sort_unstable();
        measured.sort_unstable();
        let over = measured.iter().filter(|&&took| took > 2 * BUDGET).count();
        let middle = |times: &[Duration]| times.get(times.len() / 2).copied().unwrap_or_default();
        println!(
            "{name}: {steps} steps in {FRAMES} frames; host {:?} a frame (median), {:?} at the most; parts {:?} (median), {:?} at the \
             most, {over} of {} over twice the budget",
            middle(&host),
            host[FRAMES - 1],
            middle(&measured),
            measured.last(),
            measured.len()
        );
        assert!(steps >= 10, "{name}: {steps} steps");
        assert_eq!(session.steps(), steps);
        if !clock.is_empty() {
            assert!(measured.len() > FRAMES / 2, "{name}: parts were measured");
            // What else the machine does at a moment is in a part's time, too: a part that comes again and again is judged by the least that it took.
            for ((begins, commands), times) in parts.iter().filter(|(_, times)| times.len() >= 5) {
                let least = times.iter().min().copied().unwrap_or_default();
                assert!(least <= 2 * BUDGET, "{name}: {commands} commands from {begins} on take {times:?}");
            }
            assert!(over * 4 < measured.len(), "{name}: {over} of {} parts took too long", measured.len());
        }
        // In the middle of a step, nothing half done is read.
        while session.is_step_in_progress() {
            let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            assert!(session.parameter(&session.variables()[0].name).is_err());
            assert!(session.step(&inputs).is_err() && session.read("loss").is_err());
            steps += u64::from(session.record_some(&mut encoder, Duration::from_secs(1)).unwrap().is_complete);
            queue.submit([encoder.finish()]);
        }
        // It is the training that it would have been in one piece.
        (0..steps).for_each(|_| right.step(&inputs).unwrap());
        assert_eq!(variables(&session), variables(&right), "{name}");
        let loss = session.start_read(&["loss"]).unwrap();
        assert_eq!(loss.wait().unwrap()[0], right.read("loss").unwrap());
    }
}

#[test]
fn a_part_that_is_dropped_is_told() {
    let Some(adapter) = adapter() else { return };
    let (raw, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).unwrap();
    let device = Device::from_wgpu(&adapter, raw.clone(), queue.clone()).unwrap();
    let Case { graph, inputs, .. } = cases().remove(0);
    let inputs: Vec<(&str, &TensorData)> = inputs.iter().map(|(name, data)| (*name, data)).collect();
    let mut session = graph.compile(&device).unwrap();
    let encoder = || raw.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let nothing = session.record_some(&mut encoder(), BUDGET).unwrap_err().to_string();
    assert!(nothing.contains("begin_step"), "{nothing}");
    let saved = session.state_bytes().unwrap();
    session.begin_step(&inputs).unwrap();
    assert!(session.begin_step(&inputs).is_err(), "one step at a time");
    let mut first = encoder();
    assert!(!session.record_some(&mut first, Duration::ZERO).unwrap().is_complete);
    queue.submit([first.finish()]);
    let mut second = encoder();
    session.record_some(&mut second, Duration::ZERO).unwrap();
    drop(second.finish());
    let error = session.record_some(&mut encoder(), BUDGET).unwrap_err().to_string();
    assert!(error.contains("dropped without being submitted"), "{error}");
    // The step is given up; a saved state is a way on.
    assert!(!session.is_step_in_progress());
    session.restore_bytes(&saved).unwrap();
    session.step(&inputs).unwrap();
    let mut right = graph.compile(&device).unwrap();
    right.step(&inputs).unwrap();
    assert_eq!(variables(&session), variables(&right));
    // On the CPU there is nothing to record into.
    assert!(graph.compile(&Device::cpu()).unwrap().begin_step(&inputs).is_err());
}

#[test]
fn what_is_not_recorded_loses_no_inputs() {
    let Some(adapter) = adapter() else { return };
    let (raw, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).unwrap();
    let device = Device::from_wgpu(&adapter, raw.clone(), queue.clone()).unwrap();
    let (mut session, mut right) = (training().compile(&device).unwrap(), training().compile(&device).unwrap());
    let encoder = || raw.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let whole = Duration::from_secs(10);
    let mut waiting = Vec::new();
    for number in 0..4 {
        let (x, mask) = (batch(number, [3, 4]), mask(number));
        let inputs = [("x", &x), ("mask", &mask)];
        right.step(&inputs).unwrap();
        session.begin_step(&inputs).unwrap();
        let mut recording = encoder();
        let recorded = session.record_some(&mut recording, whole).unwrap();
        if number < 3 {
            assert!(recorded.is_complete);
            waiting.push(recording.finish());
        } else {
            // Three parts are ahead: nothing is recorded, so that an application may drop what it made.
            assert_eq!((recorded.commands, recorded.is_complete), (0, false));
            drop(recording);
        }
    }
    queue.submit(waiting);
    raw.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let mut recording = encoder();
    assert!(session.record_some(&mut recording, whole).unwrap().is_complete);
    queue.submit([recording.finish()]);
    assert_eq!(variables(&session), variables(&right));
}

#[test]
fn parts_use_what_is_bound() {
    let Some(adapter) = adapter() else { return };
    let (raw, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).unwrap();
    let device = Device::from_wgpu(&adapter, raw.clone(), queue.clone()).unwrap();
    // Its sequence is computed in pieces.
    let Case { graph, inputs, .. } = cases().remove(2);
    let (mut session, mut right) = (graph.compile(&device).unwrap(), graph.compile(&device).unwrap());
    let (x, y) = (&inputs[0].1, &inputs[1].1);
    let step = |session: &mut Session, inputs: &[(&str, &TensorData)]| {
        session.begin_step(inputs).unwrap();
        let mut parts = 0;
        while session.is_step_in_progress() {
            let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            session.record_some(&mut encoder, Duration::ZERO).unwrap();
            queue.submit([encoder.finish()]);
            raw.poll(wgpu::PollType::wait_indefinitely()).unwrap();
            parts += 1;
        }
        parts
    };
    let parts = step(&mut session, &[("x", x), ("y", y)]);
    right.step(&[("x", x), ("y", y)]).unwrap();
    let dispatches = right.program().dispatches();
    assert!(parts > dispatches, "{parts} parts of {dispatches} dispatches");
    let other = batch(5, [16, 24]);
    let buffer = raw.create_buffer(&wgpu::BufferDescriptor {
        label: Some("an application's"),
        size: (other.bytes().len() as u64).next_multiple_of(16),
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    queue.write_buffer(&buffer, 0, other.bytes());
    session.bind_input("x", buffer).unwrap();
    step(&mut session, &[("y", y)]);
    right.step(&[("x", &other), ("y", y)]).unwrap();
    assert_eq!(variables(&session), variables(&right));
}
