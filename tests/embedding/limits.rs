//! Whose limit it is that a program breaks.

use super::{adapter, batch, open};
use wgrad::device::gpu::Requirements;
use wgrad::prelude::*;

fn large(rows: usize) -> Graph {
    let g = Graph::new();
    g.output("y", &(g.input("x", [rows, 1 << 20], U8).cast(F32).exp() + 1.0));
    g
}

#[test]
fn a_limit_is_blamed_on_whose_it_is() {
    let Some(adapter) = adapter() else { return };
    let allowed = adapter.limits().max_storage_buffer_binding_size;
    let (_keep, device) = open(&adapter, wgpu::Limits::default());
    let own = wgpu::Limits::default().max_storage_buffer_binding_size;
    if own < 256 << 20 && allowed >= 256 << 20 {
        // 256 MB: the adapter could, the application's device may not.
        let error = large(64).compile(&device).expect_err("it is too large").to_string();
        for part in [
            "device limit",
            "the application opened its device with",
            "required_limits",
            "max_storage_buffer_binding_size",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let (_keep, device) = open(&adapter, adapter.limits());
        assert!(large(64).compile(&device).is_ok());
    }
    // More than the adapter can, whatever the application asked for.
    if allowed < 7 << 30 {
        for limits in [wgpu::Limits::default(), adapter.limits()] {
            let (_keep, device) = open(&adapter, limits);
            let error = large(7 << 8).compile(&device).expect_err("it is too large").to_string();
            let part = format!("the adapter {} allows {allowed}", device.name());
            assert!(error.contains(&part) && !error.contains("required_limits"), "{error}");
        }
    }
    // What wgrad itself cannot.
    let g = Graph::new();
    g.output("y", &g.input("x", [1 << 16, 1 << 15], U8).broadcast_to([2, 1 << 16, 1 << 15]));
    let error = g.compile(&device).expect_err("it is too large").to_string();
    assert!(error.contains("wgrad can address"), "{error}");
}

#[test]
fn what_a_program_needs_is_known_before_its_device_is_opened() {
    let requirements = Requirements::of(&large(64)).unwrap();
    let bytes = 64 << 22;
    assert!(requirements.limits().max_storage_buffer_binding_size >= bytes);
    assert!(requirements.limits().max_buffer_size >= bytes);
    let needed: Vec<_> = requirements.all().iter().filter(|one| one.is_needed).collect();
    assert!(needed.iter().any(|one| one.name == "max_storage_buffer_binding_size" && one.value == Some(bytes)));
    let text = requirements.to_string();
    assert!(text.contains("limits.rs") && text.contains("needed") && text.contains("TIMESTAMP_QUERY"), "{text}");
    // A graph with a mistake is an error here, too.
    let g = Graph::new();
    g.output("y", &(g.input("a", [2], F32) + g.input("b", [3], F32)));
    assert!(Requirements::of(&g).is_err());
    let Some(adapter) = adapter() else { return };
    if adapter.limits().max_storage_buffer_binding_size < bytes {
        return;
    }
    let descriptor = requirements.descriptor(&adapter).unwrap();
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
    assert!(large(64).compile(&Device::from_wgpu(&adapter, device, queue).unwrap()).is_ok());
    // More than any adapter has.
    if adapter.limits().max_storage_buffer_binding_size < 7 << 30 {
        let error = Requirements::of(&large(7 << 8)).unwrap().descriptor(&adapter).unwrap_err().to_string();
        assert!(error.contains("max_storage_buffer_binding_size") && error.contains("limits.rs"), "{error}");
    }
}

/// Inputs by name.
type Inputs = Vec<(&'static str, TensorData)>;

/// Training steps of models whose kernels bind many buffers, with a batch for each.
fn models() -> Vec<(&'static str, Graph, Inputs)> {
    let pixels = || ("x", batch(1, [4, 100]));
    let labels = || ("y", TensorData::from_vec(vec![0, 2, 1, 2], [4]).unwrap());
    let classifier = |shape: [usize; 4], model: Sequential| {
        let g = Graph::new();
        let (x, y) = (g.input("x", [4, 100], F32), g.input("y", [4], I32));
        let logits = model.forward(&g, &x.reshape(shape), Mode::Training);
        g.minimize(&CrossEntropy.forward(&logits, &y), AdamW::new(1e-2)).clip_norm(1.0).build();
        (g, vec![pixels(), labels()])
    };
    let sequence = |model: Sequential| {
        let g = Graph::new();
        let (x, y) = (g.input("x", [4, 100], F32), g.input("y", [4], I32));
        let logits = model.forward(&g, &x.reshape([4, 10, 10]), Mode::Training);
        g.minimize(&CrossEntropy.forward(&logits, &y), Adam::new(1e-2)).build();
        (g, vec![pixels(), labels()])
    };
    let image = |model: Sequential| classifier([4, 1, 10, 10], model);
    let all = [
        ("dense", image(Sequential::new([1, 10, 10]).flatten().dense(20).relu().dense(3))),
        (
            "batch norm",
            image(Sequential::new([1, 10, 10]).conv2d(4, 3).batch_norm().relu().max_pool2d(2).flatten().dense(3)),
        ),
        ("layer norm", sequence(Sequential::new([10, 10]).dense(12).layer_norm().gelu().flatten().dense(3))),
        ("LSTM", sequence(Sequential::new([10, 10]).lstm(6).dense(3))),
        ("GRU", sequence(Sequential::new([10, 10]).gru(6).dense(3))),
    ];
    all.into_iter().map(|(name, (graph, inputs))| (name, graph, inputs)).collect()
}

#[test]
fn models_run_with_the_fewest_buffers_that_wgpu_has() {
    let Some(adapter) = adapter() else { return };
    let (_few, device) = open(&adapter, wgpu::Limits::downlevel_defaults());
    for (name, graph, inputs) in models() {
        let inputs: Vec<(&str, &TensorData)> = inputs.iter().map(|(name, data)| (*name, data)).collect();
        let mut right = graph.compile(&Device::cpu()).unwrap();
        let mut session = graph.compile(&device).unwrap_or_else(|error| panic!("{name}: {error}"));
        let most = session.program().steps.iter().flat_map(|step| &step.dispatches).map(|one| one.bindings.len()).max();
        assert!(most <= Some(4), "{name} binds {most:?}");
        for _ in 0..5 {
            session.step(&inputs).unwrap();
            right.step(&inputs).unwrap();
        }
        let loss = |session: &mut Session| session.read("loss").unwrap().item().unwrap();
        let (found, expected) = (loss(&mut session), loss(&mut right));
        assert!((found - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{name}: {found}, not {expected}");
    }
}

/// What no kernel could run with is told when the device is taken over, and not by a driver's compiler.
#[test]
fn too_little_for_any_kernel_is_told_at_once() {
    let Some(adapter) = adapter() else { return };
    let refused = |what: &str, change: fn(&mut wgpu::Limits)| {
        let mut required_limits = wgpu::Limits::default();
        change(&mut required_limits);
        let descriptor = wgpu::DeviceDescriptor { required_limits, ..Default::default() };
        let (raw, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
        let error = Device::from_wgpu(&adapter, raw, queue).expect_err(what).to_string();
        assert!(error.contains("device limit") && error.contains(what) && error.contains("required_limits"), "{error}");
    };
    refused("max_compute_invocations_per_workgroup", |limits| limits.max_compute_invocations_per_workgroup = 32);
    refused("max_uniform_buffers_per_shader_stage", |limits| limits.max_uniform_buffers_per_shader_stage = 0);
    refused("max_storage_buffers_per_shader_stage", |limits| limits.max_storage_buffers_per_shader_stage = 1);
    // A group that holds few bindings is one with few buffers: smaller kernels take the place of larger ones.
    let limits = wgpu::Limits { max_bindings_per_bind_group: 5, ..Default::default() };
    let (_keep, device) = open(&adapter, limits);
    let (mut session, mut right) =
        (super::training().compile(&device).unwrap(), super::training().compile(&Device::cpu()).unwrap());
    let inputs = [("x", &batch(0, [3, 4])), ("mask", &super::mask(0))];
    for session in [&mut session, &mut right] {
        session.step(&inputs).unwrap();
    }
    let [found, expected] = [session.read("loss"), right.read("loss")].map(|loss| loss.unwrap().to_f64_vec()[0]);
    assert!((found - expected).abs() < 1e-5, "{found}, not {expected}");
}
